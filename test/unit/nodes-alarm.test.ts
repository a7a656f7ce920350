/** The times at which the reconciler of nodes wakes up, by a clock that the test sets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alarm } from '../../managed-nodes/alarm.ts';
import { turn } from '../support/reconciler-site.ts';

const LONG = 300_000;
const LIVES = new AbortController().signal;

class ClockedAlarm extends Alarm {
  now = 0;
  wakeUps = 0;
  readonly #sleeping: { readonly until: number; readonly wake: () => void }[] = [];

  protected override sleep(milliseconds: number): Promise<void> {
    const { promise, resolve: wake } = Promise.withResolvers<void>();
    this.#sleeping.push({ until: this.now + milliseconds, wake });
    return promise;
  }

  begin(): void {
    void this.wait(LONG, LIVES).then(() => {
      this.wakeUps += 1;
    });
  }

  async pass(milliseconds: number): Promise<void> {
    this.now += milliseconds;
    for (const { until, wake } of this.#sleeping) if (until <= this.now) wake();
    await turn();
  }
}

test('after a quiet time, the first ring wakes its listener at once', async () => {
  const alarm = new ClockedAlarm();
  alarm.begin();
  await alarm.pass(1000);
  assert.equal(alarm.wakeUps, 0);
  alarm.ring();
  await turn();
  assert.equal(alarm.wakeUps, 1);
});

test('rings shortly after a wake-up cause one more wake-up a moment later', async () => {
  const alarm = new ClockedAlarm();
  alarm.ring();
  alarm.begin();
  for (let rings = 0; rings < 10; rings++) {
    alarm.ring();
    await alarm.pass(4);
  }
  assert.equal(alarm.wakeUps, 0);
  await alarm.pass(10);
  assert.equal(alarm.wakeUps, 1);
  alarm.begin();
  await alarm.pass(1000);
  assert.equal(alarm.wakeUps, 1, 'no ring is left');
  await alarm.pass(LONG);
  assert.equal(alarm.wakeUps, 2);
});
