/** Leaks, as an operator searches for them: none on a healthy host, and otherwise each by name. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { newContainerId } from '../../container/identity.ts';
import { readHostId } from '../../host/host-id.ts';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer } from '../support/callers.ts';
import { CLIENT_SECRET, SECRETS } from '../support/secrets.ts';
import { hostTwo } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** @returns its exit code, and the lines of its output */
async function examine(ROOT: string, more: Readonly<Record<string, string>> = {}) {
  const doctor = host.start({ env: { ROOT, ...more }, arguments: ['doctor', '--leaks'] });
  const code = await doctor.ended();
  const text = doctor.log();
  for (const secret of SECRETS) assert.ok(!text.includes(secret), text);
  return { code, told: doctor.other.toSorted() };
}

async function assertNoLeaks(root: string, pages: number): Promise<void> {
  const { code, told } = await examine(root);
  assert.match(told.join('\n'), new RegExp(`^No leaks: \\d+ holdings on ${pages} pages of the ledger`));
  assert.equal(code, 0);
}

test('doctor finds no leaks while containers run, after one has ended, and after the service has stopped', async () => {
  const root = host.newRoot();
  await assertNoLeaks(root, 0);
  const service = await host.start({ env: { ROOT: root } }).ready();
  const { unclaimed } = await hostTwo(host, service);
  await assertNoLeaks(root, 3);
  const id = await host.containerIdOf(unclaimed);
  await host.docker.getContainer(unclaimed).kill();
  await service.gone(id);
  await assertNoLeaks(root, 3);
  assert.equal(await service.stop(), 0);
  await assertNoLeaks(root, 0);
});

test('a stray directory, a mount, and a missing directory are reported as leaks by name', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const id = await host.containerIdOf(await hostContainer(service));
  const stray = newContainerId();
  const mount = join(root, 'fractal', id, 'mount');
  const removed = join(root, 'fractal/temp', id, 'sockets');
  mkdirSync(join(root, 'fractal', stray));
  mkdirSync(mount);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', mount]);
  rmdirSync(removed);
  assert.deepEqual(await examine(root), {
    code: 1,
    told: [
      `something is mounted at ${mount}`,
      `the ledger has ${removed}, which is not there`,
      `there is a directory of ${stray}, which is not in the ledger`,
    ],
  });
  execFileSync('umount', [mount]);
  rmdirSync(join(root, 'fractal', stray));
  assert.equal(await service.stop(), 0);
});

test("after a crash, differences between Docker and the ledger are named, without the containers' secrets", async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const { unclaimed, claimed } = await hostTwo(host, service);
  assert.equal(await service.stop('SIGKILL'), 'SIGKILL');
  await assertNoLeaks(root, 3);
  const removed = await host.containerIdOf(claimed);
  const facts = readFileSync(join(root, 'run/ecs-host-service/ledger', removed, 'facts.json'), 'utf8');
  assert.ok(facts.includes(CLIENT_SECRET), 'the ledger contains a secret');
  await host.docker.getContainer(claimed).remove({ force: true });
  const unknown = await host.docker.createContainer({
    Image: IMAGE,
    Labels: {
      'ecs-host-service.host-id': await readHostId(join(root, 'var/lib/ecs-host-service')),
      'ecs-host-service.role': 'spin-up',
    },
  });
  assert.deepEqual(await examine(root), {
    code: 1,
    told: [
      `Docker has the container ${unknown.id}, the ledger does not`,
      `the ledger has the container ${removed}, Docker does not`,
    ],
  });
  assert.ok(await host.docker.getContainer(unclaimed).inspect(), 'nothing was changed');
  await host.endLeft(service);
});

test('the search for leaks changes nothing, even on a host without an id', async () => {
  const root = host.newRoot();
  mkdirSync(join(root, 'var/lib/ecs-host-service'), { recursive: true });
  await assertNoLeaks(root, 0);
  assert.deepEqual(readdirSync(join(root, 'var/lib/ecs-host-service')), []);
});

test('without Docker, the search for leaks fails and says what to do', async () => {
  const root = host.newRoot();
  const state = join(root, 'var/lib/ecs-host-service');
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'host-id'), '01234567-89ab-cdef-0123-456789abcdef\n');
  const { code, told } = await examine(root, { DOCKER_HOST: 'unix:///run/test/nobody.sock' });
  assert.equal(code, 1);
  assert.match(told.join('\n'), /^Docker .*nobody\.sock/);
  rmSync(state, { recursive: true });
});
