/** The host's console, for which an image can contain a device node. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { importArchive } from '../../scripts/image.ts';
import { denyDevice } from '../../uinput-native/device-denial.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const BUILD = join(import.meta.dirname, '../../build');
const IMAGE = 'test/console-opener:1';
const REFUSED = 'Operation not permitted';
/** In each, the attacker tries to be faster than the service. */
const TIMES = 5;

const host = new TestHost();
before(async () => {
  await host.startDocker();
  const files = mkdtempSync(join(tmpdir(), 'console-'));
  copyFileSync(join(BUILD, 'console-opener'), join(files, 'console-opener'));
  execFileSync('mknod', ['-m', '666', join(files, 'console'), 'c', '5', '1']);
  await importArchive(host.docker, IMAGE, ['-C', files, '.'], 'CMD ["/console-opener"]');
  rmSync(files, { recursive: true });
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

async function attack(docker: Dockerode, Labels = {}): Promise<string> {
  const container = await docker.createContainer({ Image: IMAGE, Tty: true, Labels });
  await container.start();
  const said = async () => String(await container.logs({ stdout: true })).trim();
  await until('it has tried to open the node', async () => (await said()) !== '');
  const answer = await said();
  await container.stop();
  await container.remove();
  return answer;
}

test('a hosted container can never open the host’s console through a device node from its image', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const proxy = new Dockerode({ socketPath: join(root, 'run/ecs-host-service/docker.sock') });
  assert.notEqual(await attack(proxy), REFUSED);
  for (let i = 0; i < TIMES; i++) {
    assert.equal(await attack(proxy, { 'ecs-host-service.interactive': 'true' }), REFUSED);
  }
  assert.equal(await service.stop(), 0);
});

test("on cgroup v2, only the host's console is taken from a process, and no other device", async () => {
  const mounted = mkdtempSync('/run/test/cgroup-');
  execFileSync('mount', ['-t', 'cgroup2', 'none', mounted]);
  const group = mkdtempSync(join(mounted, 'console-'));
  const inGroup = (node: string) =>
    spawnSync('/bin/sh', ['-c', `echo 0 > ${group}/cgroup.procs; exec 3< ${node}`], { encoding: 'utf8' });
  execFileSync('mknod', ['/run/test/five', 'c', '1', '5']);
  assert.equal(inGroup('/run/test/five').status, 0);
  denyDevice(group, 1, 5);
  assert.match(inGroup('/run/test/five').stderr, /Operation not permitted/);
  for (const other of ['/dev/null', '/dev/full', '/dev/urandom'])
    assert.equal(inGroup(other).status, 0, other);
  // The kernel may still be removing the last process from it.
  const events = () => readFileSync(join(group, 'cgroup.events'), 'utf8');
  await until('the group is empty', () => events().includes('populated 0'));
  rmdirSync(group);
  execFileSync('umount', [mounted]);
});
