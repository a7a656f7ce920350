import assert from 'node:assert/strict';
import { test } from 'node:test';
import { release } from '../../lifetime/released-buffers.ts';
import { trimMemory } from '../../uinput-native/memory.ts';

const PIECES = 1024;
/** Blocks below the size at which glibc uses mmap. */
const BYTES = 2 ** 16;

test('freed memory below memory in use is returned to the kernel', async () => {
  const pieces = Array.from({ length: PIECES }, () => Buffer.allocUnsafeSlow(BYTES).fill(1));
  const inUse = pieces.pop() as Buffer;
  pieces.forEach(release);
  const kept = process.memoryUsage.rss();
  await trimMemory();
  const freed = kept - process.memoryUsage.rss();
  assert.ok(freed > (PIECES * BYTES) / 2, `${freed} bytes`);
  assert.ok(inUse.every((byte) => byte === 1));
});
