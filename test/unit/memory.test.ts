import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Memory, readMemory } from '../../host/memory.ts';

const LINES = [
  'MemTotal:       16384256 kB',
  'MemFree:         1024000 kB',
  'MemAvailable:    8192000 kB',
  'Buffers:              12 kB',
  'SwapTotal:             1 kB',
  'SwapFree:              2 kB',
  'HugePages_Total:       0',
];

/** The result of reading a file with these lines. */
async function memoryOf(lines: readonly string[]): Promise<Memory> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'memory-'));
  const file = join(directory.path, 'meminfo');
  await writeFile(file, `${lines.join('\n')}\n`);
  return await readMemory(file);
}

test("a host's memory is read from three lines of the kernel, in any order", async () => {
  const memory = { total: 16_384_256, free: 1_024_000, available: 8_192_000 };
  assert.deepEqual(await memoryOf(LINES), memory);
  assert.deepEqual(await memoryOf(LINES.toReversed()), memory);
});

test('a memory without free pages is read too', async () => {
  const { free } = await memoryOf(LINES.with(1, 'MemFree:               0 kB'));
  assert.equal(free, 0);
});

test('a missing or invalid line is named with its file', async () => {
  for (const [number, name] of ['MemTotal', 'MemFree', 'MemAvailable'].entries()) {
    const says = new RegExp(`/meminfo has no line "${name}"$`);
    await assert.rejects(memoryOf(LINES.toSpliced(number, 1)), says);
    for (const line of [
      `${name}: 17 MB`,
      `${name}: x kB`,
      `${name}: -17 kB`,
      `${name}:`,
      `Not${name}: 17 kB`,
      `${name}Free: 17 kB`,
    ]) {
      await assert.rejects(memoryOf(LINES.with(number, line)), says, line);
    }
  }
});

test('memory cannot be read from a missing file', async () => {
  await assert.rejects(readMemory('/does/not/exist'), { code: 'ENOENT' });
});

test('this host has as much memory as the kernel reports to Node', async () => {
  const { total, free, available } = await readMemory();
  assert.equal(total, totalmem() / 1024);
  assert.ok(free > 0 && free <= total);
  assert.ok(available > 0 && available <= total);
});
