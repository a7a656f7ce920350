import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Measurement, overRuns, row } from '../../bench/measure.ts';

function run(median: number): Measurement {
  return { method: 'by hand', rows: [row('ours over theirs', median, 2 * median, { median: 1.5 })] };
}

test('several runs of a measurement are one row with the spread of their medians', () => {
  const { rows } = overRuns([run(1.2), run(1.1), run(1.4)]);
  const [{ median, p95, spread, met } = assert.fail()] = rows;
  assert.deepEqual({ median, p95, spread, met }, { median: 1.2, p95: 2.4, spread: [1.1, 1.4], met: true });
});

test('a limit that one run misses is not met', () => {
  assert.equal(overRuns([run(1.2), run(1.6), run(1.4)]).rows[0]?.met, false);
});
