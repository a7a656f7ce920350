/** Shows how long ago a time was. Its tooltip has the exact time. */

import { computed, signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ago } from './spans.ts';

const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5000);

export function Ago({ at }: { readonly at: string }) {
  // This signal updates the text alone, without rendering the row around it.
  const text = useMemo(() => computed(() => ago(Math.max(now.value, Date.now()) - Date.parse(at))), [at]);
  return (
    <time dateTime={at} title={new Date(at).toISOString()}>
      {text}
    </time>
  );
}
