import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { makePipe } from '../../uinput-native/pipe.ts';

test('a pipe gives what was put into it, holds as much as it was asked to, and ends with its writer', () => {
  const { reader, writer } = makePipe(2 ** 20);
  const content = Buffer.alloc(2 ** 20, 'content');
  // It would block for ever in one that holds less.
  assert.equal(writeSync(writer, content), content.length);
  closeSync(writer);
  const read = Buffer.alloc(content.length + 1);
  assert.equal(readSync(reader, read), content.length);
  assert.ok(read.subarray(0, -1).equals(content));
  assert.equal(readSync(reader, read), 0);
  closeSync(reader);
});

test('a pipe is not left to programs that are started meanwhile', () => {
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

test('a pipe whose size is no number is none', () => {
  assert.throws(() => makePipe('much' as never), { name: 'TypeError', message: /^bytes must be an integer/ });
});
