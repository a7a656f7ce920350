/** A clock that jumps to the next timer as soon as nothing else is left to do. */

import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';

interface Timer {
  readonly at: number;
  readonly fire: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #timers: Timer[] = [];

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal?.aborted) reject(signal.reason);
    const timer = { at: this.#now + Math.max(0, milliseconds), fire: resolve };
    this.#timers.push(timer);
    signal?.addEventListener('abort', () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
      reject(signal.reason);
    });
    return promise;
  }

  /** Advances the clock until the promise has settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    promise.then(end, end);
    for (;;) {
      await setImmediate();
      if (settled) return promise;
      const next = this.#timers.reduce<Timer | undefined>(
        (first, one) => (first && first.at <= one.at ? first : one),
        undefined,
      );
      if (!next) throw new Error('nothing is left that could settle the promise');
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#now = next.at;
      next.fire();
    }
  }
}
