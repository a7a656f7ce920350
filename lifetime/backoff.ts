/**
 * How long to wait before another attempt: twice as long after each failure, up to a limit. The loops here go on after a
 * success, begin anew or are hurried, where p-retry and its like end, so they take from one place the pause alone.
 */

/** Both in milliseconds. */
export interface Backoff {
  readonly shortest: number;
  readonly longest: number;
}

/** @param failures how many there were before the last one @returns milliseconds */
export function backoff(failures: number, { shortest, longest }: Backoff): number {
  return Math.min(shortest * 2 ** failures, longest);
}
