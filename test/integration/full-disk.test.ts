/**
 * A container that fills the disk, with bytes or with files, is ended. Its neighbour keeps working, and there is room again.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { askTcp, claim, host as spinUp } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const MIB = 2 ** 20;
const USER_FILES = '/fractal/userConfigs';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

/** The used bytes of a disk. */
function used(path: string): number {
  const { blocks, bfree, bsize } = statfsSync(path);
  return (blocks - bfree) * bsize;
}

/** Hosts a neighbour and a container that fills the disk until it is ended. @param words the program's arguments */
async function fill(root: string, ...words: string[]) {
  const image = 'tests/filler:1';
  await host.importImage(image, words, '/hostile-neighbour');
  const service = await host.start({ env: { ROOT: root } }).ready();
  const operator = new Operator(root);
  const neighbour = await host.hostPort(await spinUp(service));
  await claim(service, neighbour);
  const before = used(root);
  using events = await operator.follow();
  const { body } = await operator.ask('POST', '/v1/containers', { image, app: 'demo' });
  const [ending] = (
    await events.until(({ container }) => container.id === body.id && container.state === 'ending')
  ).slice(-1);
  await service.gone(body.id);
  await until('its Docker container is gone', async () => {
    const all = await host.docker.listContainers({ all: true });
    return all.every(({ Id }) => Id !== body.docker);
  });
  const receipt = (await operator.get(`/v1/containers/${body.id}/receipt`)).body;
  assert.equal((await askTcp(neighbour)).port, String(neighbour));
  assert.equal((await operator.get('/v1/containers')).body.containers.length, 1);
  await host.docker.getContainer((await operator.get('/v1/containers')).body.containers[0].docker).stop();
  return { service, before, ending, receipt };
}

/** On its own small disk. */
async function onSmallDisk(options: string, words: readonly string[]): Promise<void> {
  const root = host.newRoot();
  const disk = join(root, 'fractal');
  execFileSync('mkdir', ['-p', disk]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${options}`, 'tmpfs', disk]);
  try {
    const { service, ending, receipt } = await fill(root, ...words);
    assert.ok(ending);
    assert.equal(ending.code, 'over-disk-limit');
    assert.match(ending.cause ?? '', /more than CONTAINER_DISK allows/);
    assert.equal(receipt.code, 'over-disk-limit');
    assert.ok(used(disk) < MIB, `${used(disk)} bytes are still in use`);
    const warned = service.lines.find(({ msg }) =>
      /^the next check ends a container: it has/.test(msg ?? ''),
    );
    assert.equal(warned?.container, receipt.container);
    assert.equal(await service.stop(), 0);
  } finally {
    execFileSync('umount', ['--lazy', disk]);
    execFileSync('rmdir', [disk]);
  }
}

test("a container that fills the disk with its user's files is warned about and ended, and its neighbour keeps working", async () => {
  await onSmallDisk('size=48m', ['file', `${USER_FILES}/file`, '100']);
});

test('a container that fills the disk through the directory of its socket is ended too', async () => {
  await onSmallDisk('size=48m', ['file', '/tmp/sockets/file', '100']);
});

test('a container that uses up the inodes is ended too', async () => {
  await onSmallDisk('size=480m,nr_inodes=4000', ['files', USER_FILES, '6000']);
});

test("a container that fills Docker's disk through its own layer is ended too, and the layer is removed", async () => {
  const root = host.newRoot();
  const size = Math.ceil(used('/var/lib/docker') / MIB) + 64;
  execFileSync('mount', ['-o', `remount,size=${size}m`, '/var/lib/docker']);
  const { service, receipt } = await fill(root, 'file', '/file', '200');
  assert.equal(receipt.code, 'over-disk-limit');
  assert.ok(used('/var/lib/docker') < (size - 40) * MIB);
  assert.equal(await service.stop(), 0);
});
