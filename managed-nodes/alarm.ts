/** A pause that can be ended early, even by a ring before it begins. */

import { setTimeout as pause } from 'node:timers/promises';

/** In milliseconds. Rings within this time of the beginning of a wait cause one wake-up. A later ring wakes at once. */
const TOGETHER = 50;

export class Alarm {
  #rung = Promise.withResolvers<void>();

  ring(): void {
    this.#rung.resolve();
  }

  /** Waits until the alarm rings, has rung since the last wait, or the given time is over. Never rejects. */
  async wait(milliseconds: number, signal: AbortSignal): Promise<void> {
    const together = this.sleep(TOGETHER, signal);
    const enough = new AbortController();
    const either = AbortSignal.any([signal, enough.signal]);
    const late = this.sleep(Math.max(0, milliseconds), either);
    const aborted = new Promise((resolve) => either.addEventListener('abort', resolve, { once: true }));
    await Promise.race([this.#rung.promise, late, aborted]);
    enough.abort();
    await together;
    this.#rung = Promise.withResolvers();
  }

  protected async sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    await pause(milliseconds, undefined, { signal, ref: false }).catch(() => {});
  }
}
