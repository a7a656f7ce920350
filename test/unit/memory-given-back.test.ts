import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBackFrom } from '../../uinput-native/memory.ts';

const LARGE = 2 ** 20;
const COUNT = 100;

test('memory that was freed in large pieces goes back to the kernel at once', () => {
  giveBackFrom(LARGE / 8);
  const before = process.memoryUsage.rss();
  const pieces = Array.from({ length: COUNT }, () => Buffer.allocUnsafeSlow(LARGE).fill(1));
  // What is still used is beyond what is freed.
  const last = pieces.at(-1);
  for (const { buffer } of pieces.slice(0, -1)) buffer.transfer(0);
  const kept = process.memoryUsage.rss() - before;
  assert.equal(last?.length, LARGE);
  assert.ok(kept < (COUNT * LARGE) / 4, `${kept} bytes`);
});

test('a size that is none changes nothing', () => {
  assert.throws(() => giveBackFrom(-1), { code: 'EINVAL' });
  assert.throws(() => giveBackFrom('much' as never), {
    name: 'TypeError',
    message: /^bytes must be an integer/,
  });
});
