/** A pause that can be cut short, also before it begins. */

import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds in which several reasons to wake become one. */
const TOGETHER = 50;

export class Alarm {
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
  }

  /** Until it rings, or has rung since the last wait; at most so many milliseconds. Never rejects. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const either = AbortSignal.any([signal, enough.signal]);
    const late = this.sleep(Math.max(0, milliseconds), either);
    const aborted = new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
    await Promise.race([this.#rung.promise, late, aborted]);
    enough.abort();
    await this.sleep(TOGETHER, signal);
    this.#rung = Promise.withResolvers();
  }

  protected async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    await pause(milliseconds, undefined, { signal, ref: false }).catch(() => {});
  }
}
