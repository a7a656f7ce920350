/**
 * The pause before the next attempt. It doubles after each failure, up to a limit. The loops that use it continue after
 * a success, start over, or are woken early, which p-retry and similar libraries do not support. So they share only the
 * computation of the pause.
 */

/** Both in milliseconds. */
export interface Backoff {
  readonly shortest: number;
  readonly longest: number;
}

/** @param failures the number of failures before the last one @returns milliseconds */
export function backoff(failures: number, { shortest, longest }: Backoff): number {
  return Math.min(shortest * 2 ** failures, longest);
}
