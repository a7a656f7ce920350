/** Time as a parameter, so that tests run hours in milliseconds. */

import { setTimeout } from 'node:timers/promises';

export interface Clock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Rejects if the signal aborts. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => setTimeout(Math.max(0, milliseconds), undefined, signal && { signal }),
};

/** Milliseconds to wait before an attempt. The delay doubles each time, with jitter so that clients spread out. */
export function backoff(attempt: number, first = 200, most = 20_000): number {
  const limit = Math.min(most, first * 2 ** Math.min(attempt, 30));
  return limit * (0.5 + Math.random() / 2);
}
