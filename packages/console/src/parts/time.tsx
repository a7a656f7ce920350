/** A time, as how long ago it was, with the exact one at hand. */

import { computed, signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';

const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5000);

export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

export function Ago({ at }: { readonly at: string }) {
  // Drawn anew by itself, without the row that it stands in.
  const text = useMemo(() => computed(() => ago(Math.max(now.value, Date.now()) - Date.parse(at))), [at]);
  return (
    <time dateTime={at} title={new Date(at).toISOString()}>
      {text}
    </time>
  );
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < 3_600_000) return `${Math.round(milliseconds / 60_000)} min`;
  return `${(milliseconds / 3_600_000).toFixed(1)} h`;
}
