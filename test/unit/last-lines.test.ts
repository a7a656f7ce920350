/** The last lines of the log, which are kept for reports of a crash, in small files. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { LastLines, lastLinesIn, readLastLines } from '../../logging/last-lines.ts';

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'last-lines-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function sizeOf(path: string): number {
  return lastLinesIn(path).reduce((sum, file) => sum + (existsSync(file) ? statSync(file).size : 0), 0);
}

/** Writes lines of a hundred characters that end with a number, starting at `first`. */
function write(lines: LastLines, first: number, count: number): void {
  for (let i = first; i < first + count; i++) lines.write(`${String(i).padStart(99, '.')}\n`);
}

const numbers = (lines: readonly string[]) => lines.map((line) => Number(line.replaceAll('.', '')));

test('as many of the last lines are read as requested, and no more than exist', (t) => {
  const path = directory(t);
  assert.deepEqual(readLastLines(path, 5), []);
  write(new LastLines(path), 1, 3);
  assert.deepEqual(numbers(readLastLines(path, 2)), [2, 3]);
  assert.deepEqual(numbers(readLastLines(path, 5)), [1, 2, 3]);
});

test('the last lines are available at any moment, and their files stay small', (t) => {
  const path = directory(t);
  const lines = new LastLines(path);
  for (let i = 1; i <= 3000; i += 23) {
    write(lines, i, 23);
    assert.equal(numbers(readLastLines(path, 20))[0], i + 3);
    assert.ok(sizeOf(path) < 132_000, `${sizeOf(path)} bytes`);
  }
});

test('only root can read the last lines, and a normal end removes them', (t) => {
  const path = directory(t);
  const lines = new LastLines(path);
  write(lines, 1, 1000);
  const modes = readdirSync(path).map((name) => statSync(join(path, name)).mode & 0o777);
  assert.deepEqual(modes, [0o600, 0o600]);
  lines.close();
  assert.deepEqual(readdirSync(path), []);
});

test('an instance that has stopped recording does not affect the lines of the next one', (t) => {
  const path = directory(t);
  const closed = new LastLines(path);
  write(closed, 1, 656);
  closed.close();
  const open = new LastLines(path);
  write(open, 1000, 1);
  write(closed, 2000, 10);
  assert.deepEqual(numbers(readLastLines(path, 20)), [1000]);
  open.close();
  assert.deepEqual(readdirSync(path), []);
});

test('lines of a dead service are not reported as those of the next one', (t) => {
  const path = directory(t);
  write(new LastLines(path), 1, 1000);
  write(new LastLines(path), 5000, 2);
  assert.deepEqual(numbers(readLastLines(path, 20)), [5000, 5001]);
});

test('a full disk loses lines and nothing else, until there is room again', (t) => {
  const path = directory(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', path]);
  try {
    const lines = new LastLines(path);
    const filler = join(path, 'filler');
    writeFileSync(filler, Buffer.alloc(12 * 1024));
    write(lines, 1, 100);
    assert.ok(!numbers(readLastLines(path, 1)).includes(100));
    rmSync(filler);
    lines.write('\n');
    write(lines, 5000, 1);
    assert.deepEqual(numbers(readLastLines(path, 1)), [5000]);
  } finally {
    // It is busy while a file in it is open.
    execFileSync('umount', ['--lazy', path]);
  }
});
