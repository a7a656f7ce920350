import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogFile } from '../../logging/log-file.ts';

test('after a rotation, the log goes to a new file', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'log-'));
  const path = join(directory.path, 'in/app.log');
  const log = new LogFile(path);
  log.write('one\n');
  await rename(path, `${path}.1`);
  log.write('two\n');
  await rm(path);
  log.write('three\n');
  log.write('four\n');
  assert.equal(await readFile(`${path}.1`, 'utf8'), 'one\n');
  assert.equal(await readFile(path, 'utf8'), 'three\nfour\n');
  assert.equal((await stat(path)).mode & 0o777, 0o640);
  new LogFile(path).write('five\n');
  assert.equal(await readFile(path, 'utf8'), 'three\nfour\nfive\n', 'another service goes on with it');
});

test('a log file is never a link, and a line that cannot be written ends nothing', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'log-'));
  const path = join(directory.path, 'app.log');
  await symlink('/dev/null', path);
  assert.throws(() => new LogFile(path), /ELOOP/);
  await rm(path);
  const log = new LogFile(path);
  await rm(directory.path, { recursive: true });
  log.write('lost\n');
});
