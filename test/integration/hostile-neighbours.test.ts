/** A container can use its host's resources only up to this host's defaults, and its neighbour keeps working meanwhile. */

import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { pathsBelow } from '../../host/paths.ts';
import { IMAGE } from '../../scripts/image.ts';
import { Attacker } from '../support/attacker.ts';
import { askTcp, claim, host as spinUp } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const MIB = 2 ** 20;
const LIMITS = { CONTAINER_PIDS: '64', CONTAINER_MEMORY: '96MiB', CONTAINER_LOG_SIZE: '1MiB' };

let host: TestHost;
let service: ServiceProcess;
let operator: Operator;
let proxy: Dockerode;
let attacker: Attacker;
let neighbour: number;
before(async () => {
  host = await TestHost.open();
  const root = host.newRoot();
  service = await host.start({ env: { ROOT: root, ...LIMITS } }).ready();
  operator = new Operator(root);
  proxy = new Dockerode({ socketPath: pathsBelow(root).dockerProxy });
  attacker = new Attacker(proxy);
  neighbour = await host.hostPort(await spinUp(service));
  await claim(service, neighbour);
});
after(async () => {
  assert.equal(await service.stop(), 0);
  await host.finish();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  assert.equal((await askTcp(neighbour)).port, String(neighbour));
  await until('only the neighbour is left', async () => {
    const { status, body } = await operator.get('/v1/containers');
    assert.equal(status, 200);
    return body.containers.length === 1;
  });
});

test("a container without limits gets the host's limits, whoever makes it", async () => {
  const { body } = await operator.ask('POST', '/v1/containers', { image: IMAGE, app: 'demo' });
  const hosted = await proxy.createContainer({
    Image: IMAGE,
    Labels: { 'ecs-host-service.interactive': 'true' },
    // Docker's command line sends these for options that nobody set.
    HostConfig: { PidsLimit: 0, Memory: 0, MemorySwap: 0, LogConfig: { Type: '', Config: {} } },
  });
  for (const id of [body.docker, await spinUp(service), hosted.id]) {
    const { HostConfig } = await host.docker.getContainer(id).inspect();
    const { PidsLimit, Memory, MemorySwap, LogConfig } = HostConfig;
    assert.deepEqual([PidsLimit, Memory, MemorySwap], [64, 96 * MIB, 96 * MIB]);
    assert.deepEqual(LogConfig, {
      Type: 'json-file',
      Config: { 'max-file': '2', 'max-size': String(MIB / 2) },
    });
    const containerId = await host.containerIdOf(id);
    await host.docker.getContainer(id).remove({ force: true });
    await service.gone(containerId);
  }
});

test('a fork bomb stops at the process limit', async () => {
  await using attack = await attacker.begin('forks', '600');
  const [, made, why] = await attack.said(/forks: (\d+), (.*)/);
  assert.equal(why, 'Resource temporarily unavailable');
  assert.ok(Number(made) < 64, made);
});

test("a program that exceeds its container's memory limit is killed, and the container keeps running", async () => {
  await using attack = await attacker.begin('memory', '512');
  assert.equal((await attack.said(/memory: (.*)/))[1], 'Killed');
  assert.ok(await attack.isRunning());
});

test('the cause of a container that ended because it ran out of memory says so', async () => {
  await using attack = await attacker.begin('grow', '512');
  await attack.said(/grow: waits/);
  const id = await host.containerIdOf(attack.dockerId);
  await host.docker.getContainer(attack.dockerId).kill({ signal: 'SIGUSR1' });
  const { receipt } = await service.line(({ container, msg }) => container === id && msg === 'receipt');
  const { code, cause } = receipt as { readonly code: string; readonly cause: string };
  assert.equal(code, 'exited');
  assert.match(cause, /^it ended with code 137: it had used up its memory, .* \(OOMKilled\)$/);
});

test("data in a container's shared memory and tmpfs mounts count as its memory", async () => {
  for (const [place, HostConfig] of [
    ['/dev/shm', { ShmSize: 1024 * MIB }],
    ['/scratch', { Tmpfs: { '/scratch': 'size=1g' } }],
  ] as const) {
    await using attack = await attacker.begin({ HostConfig }, 'file', `${place}/file`, '512');
    assert.equal(await attack.diedOf(), 'out of memory');
  }
});

test('a container that opens all the pseudo terminals it can leaves most of them to others', async () => {
  await using attack = await attacker.begin('terminals', '10000');
  const [, opened, why] = await attack.said(/terminals: (\d+), (.*)/);
  assert.equal(why, 'No space left on device');
  assert.equal(Number(opened), 256);
  await using other = await attacker.begin('terminals', '200');
  assert.match((await other.said(/terminals: (.*)/))[1] ?? '', /^200, no end/);
});

test('a flood of output uses no more disk space than the log limit', async () => {
  await using attack = await attacker.begin('log', '32');
  await attack.said(/log: 32/);
  const directory = join('/var/lib/docker/containers', attack.dockerId);
  const logs = readdirSync(directory).filter((name) => name.includes('-json.log'));
  const sizes = logs.map((name) => statSync(join(directory, name)).size);
  assert.ok(sizes.length > 0);
  assert.ok(sizes.reduce((sum, size) => sum + size) < 1.1 * MIB, sizes.join());
});

test("a flood of a container's events does not reach the service, which still learns at once when it ends", async () => {
  const attack = await attacker.begin('ooms', '60', '512');
  assert.equal((await attack.said(/ooms: (\d+)/))[1], '60');
  const id = await host.containerIdOf(attack.dockerId);
  await attack.end();
  await service.gone(id);
});
