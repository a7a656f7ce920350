import assert from 'node:assert/strict';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Finding } from '../../src/doctor/host-checks.ts';
import { concerning, findNodes } from '../../src/doctor/node-checks.ts';

test('the doctor checks the file of nodes, and skips checks that a host without interactive containers does not need', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'nodes-'));
  const NODES_FILE = join(directory.path, 'nodes.yaml');
  const find = () => findNodes({ NODES_FEED: 'file', NODES_FILE });
  const [missing] = await find();
  assert.equal(missing?.grade, 'error');
  assert.match(missing?.found ?? '', /no such file/);
  await writeFile(NODES_FILE, 'app: demo\nnodes: [{ name: web, image: x }]\n', { mode: 0o600 });
  assert.deepEqual(await find(), [
    { check: 'nodes', grade: 'ok', found: `${NODES_FILE} names 1 of the app demo` },
  ]);
  assert.deepEqual(await findNodes({ NODES_FEED: 'none' }), []);
  const findings: Finding[] = ['docker', 'uinput', 'metadata guard'].map((check) => ({
    check,
    grade: 'ok',
    found: '',
  }));
  const checked = (INTERACTIVE: 'on' | 'off') =>
    concerning(findings, { INTERACTIVE }).map(({ check }) => check);
  assert.deepEqual(checked('off'), ['docker', 'metadata guard']);
  assert.deepEqual(checked('on'), ['docker', 'uinput', 'metadata guard']);
});
