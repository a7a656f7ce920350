/** A time, as how long ago it was, with the exact one at hand. */

import { computed, signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ago } from './spans.ts';

const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5000);

export function Ago({ at }: { readonly at: string }) {
  // Drawn anew by itself, without the row that it stands in.
  const text = useMemo(() => computed(() => ago(Math.max(now.value, Date.now()) - Date.parse(at))), [at]);
  return (
    <time dateTime={at} title={new Date(at).toISOString()}>
      {text}
    </time>
  );
}
