/** The kernel's errors on filesystems without project quotas. test/vm/quota.test.ts covers those with quotas. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DiskQuotas } from '../../container/disk-quotas.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { createLogger } from '../../logging/logger.ts';
import { giveToProject, keepsProjects, limitProject } from '../../uinput-native/projects.ts';

const log = createLogger({ level: 'error', stream: { write: () => {} } });

function newDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'projects-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test('without project quotas a container gets no project, and a limit fails with the reason', async () => {
  using directory = newDirectory();
  for (const path of [directory.path, '/proc', '/not/there']) assert.equal(keepsProjects(path), false);
  assert.throws(() => limitProject('/not/there', 1, 1, 1), { code: 'ENOENT', message: /^limit a project: / });
  assert.throws(() => limitProject('/proc', 1, 1, 1), { message: /^limit a project: / });
  await using lifetime = new Lifetime('test');
  const docker = { layerOf: () => assert.fail('Docker must not be asked') };
  const amount = { percent: 25 };
  const quotas = new DiskQuotas({ directories: [directory.path], amount, docker, log });
  assert.equal(await quotas.hold(lifetime), undefined);
  await quotas.give(undefined, [directory.path]);
  await quotas.giveLayer(undefined, 'id' as never);
  await quotas.give(7, [directory.path]);
  assert.deepEqual(lifetime.holdings.list(), []);
});

test('a project is set without following links, and no descriptor is leaked', async () => {
  using directory = newDirectory();
  const tree = join(directory.path, 'tree');
  const link = join(directory.path, 'link');
  mkdirSync(tree);
  symlinkSync(tree, link);
  const before = readdirSync('/proc/self/fd').length;
  await assert.rejects(async () => giveToProject(link, 1), { code: 'ENOTDIR', message: /^open a tree: / });
  await assert.rejects(giveToProject('/proc/self', 1), { code: 'ENOTDIR' });
  await assert.rejects(giveToProject('/proc/tty', 1), {
    code: 'ENOTTY',
    message: /^give a tree to a project/,
  });
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
