import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { makePipe } from '../../uinput-native/pipe.ts';

test('a pipe returns what was written to it, has the requested size, and ends with its writer', () => {
  const { reader, writer } = makePipe(2 ** 20);
  const content = Buffer.alloc(2 ** 20, 'content');
  // The write would block forever in a smaller pipe.
  assert.equal(writeSync(writer, content), content.length);
  closeSync(writer);
  const read = Buffer.alloc(content.length + 1);
  assert.equal(readSync(reader, read), content.length);
  assert.ok(read.subarray(0, -1).equals(content));
  assert.equal(readSync(reader, read), 0);
  closeSync(reader);
});

test('programs that are started meanwhile do not inherit a pipe', () => {
  const { reader, writer } = makePipe(1);
  const { stdout } = spawnSync('ls', ['-l', '/proc/self/fd'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.match(stdout, / 1 -> /);
  for (const end of [reader, writer]) {
    assert.doesNotMatch(stdout, new RegExp(` ${end} -> pipe`));
    closeSync(end);
  }
});

test('a pipe of an invalid size is not made', () => {
  assert.throws(() => makePipe('much' as never), { name: 'TypeError', message: /^bytes must be an integer/ });
});
