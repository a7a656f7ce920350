/** A function that is called at intervals, and never while its last call still runs. */

import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export type Tick = (signal: AbortSignal) => unknown;

export interface TimerOptions {
  /** Milliseconds between the starts of two calls. A call that takes longer delays the next one. */
  readonly interval: number;
  readonly tick: Tick;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Resolves when the signal has aborted and the last call has ended. A failed call is logged. */
export async function runTimer({ interval, tick, signal, clock, logger }: TimerOptions): Promise<void> {
  for (let next = clock.now() + interval; ; ) {
    await clock.sleep(next - clock.now(), signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await tick(signal);
    } catch (error) {
      if (!signal.aborted) logger.error({ error, interval }, 'a function that is called at intervals failed');
    }
    next = Math.max(next + interval, clock.now());
  }
}
