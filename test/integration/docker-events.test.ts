import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { host as hostContainer, startValues } from '../support/callers.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { Site } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const ID = 'ab'.repeat(30);

/** A Docker container with the labels of a host. */
async function labelled(hostId: string, role = 'spin-up'): Promise<string> {
  const Labels = {
    'ecs-host-service.host-id': hostId,
    'ecs-host-service.container-id': ID,
    'ecs-host-service.role': role,
  };
  return (await host.docker.createContainer({ Image: IMAGE, Labels })).id;
}

async function isThere(dockerId: string): Promise<boolean> {
  const all = await host.docker.listContainers({ all: true });
  return all.some(({ Id }) => Id === dockerId);
}

test('C15: a container that dies while Docker is away is noticed when Docker is back, and the service keeps running', async () => {
  const service = await host.start().ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  await host.stopDocker('SIGKILL');
  await service.message("lost Docker's event stream");
  await host.startDocker();
  await service.message('Docker is back');
  await service.gone(id);
  await host.docker.getContainer(dockerId).remove({ force: true });
  assert.equal(await host.hostPort(await hostContainer(service)), 32262, 'its port is free again');
  assert.equal(await service.stop(), 0);
});

test('while Docker is away, requests are answered with what to do, and leave nothing behind', async () => {
  const service = await host.start().ready();
  await host.stopDocker();
  await service.message("lost Docker's event stream");
  const health = await service.get('/healthz');
  assert.deepEqual([health.status, JSON.parse(health.body).title], [503, 'docker.silent']);
  const { status, body } = await service.put('/spin_up_container', {
    auth_secret: 'testwebserverauthsecretdev',
    app_name: 'demo',
    app_image: IMAGE,
  });
  assert.equal(status, 406);
  assert.match(body, /Docker does not answer at .*; start Docker, or check its log/);
  await host.startDocker();
  await service.message('Docker is back');
  assert.equal(await service.stop(), 0);
});

test('C15: at its start, the service removes the unclaimed containers that a killed service left behind', async () => {
  const root = host.newRoot();
  const first = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(first);
  await first.stop('SIGKILL');
  const second = await host.start({ env: { ROOT: root } }).ready();
  assert.ok(!(await isThere(dockerId)), 'it comes before any new container');
  await hostContainer(second);
  assert.equal((await startValues(second, 32262)).status, 200);
  assert.equal(await second.stop(), 0);
});

test('C14: a container that was created and never started is removed together with its directories', async () => {
  const root = host.newRoot();
  const first = await host.start({ env: { ROOT: root } }).ready();
  const own = await hostContainer(first);
  const { Config } = await host.docker.getContainer(own).inspect();
  assert.equal(await first.stop(), 0);
  const dockerId = await labelled(Config.Labels['ecs-host-service.host-id'] as string);
  mkdirSync(join(root, 'fractal', ID), { recursive: true });
  mkdirSync(join(root, 'fractalCloudStorage', ID), { recursive: true });
  const second = await host.start({ env: { ROOT: root } }).ready();
  await second.message('removed a container of a crashed service');
  assert.ok(!(await isThere(dockerId)));
  assert.equal(await second.stop(), 0);
  for (const name of ['fractal', 'fractalCloudStorage']) rmdirSync(join(root, name));
});

test('a container of another host, or without an owner, is left alone', async () => {
  const dockerIds = [
    await labelled('another-host'),
    (await host.docker.createContainer({ Image: IMAGE })).id,
  ];
  const service = await host.start().ready();
  assert.equal(await service.stop(), 0);
  for (const dockerId of dockerIds) {
    assert.ok(await isThere(dockerId));
    await host.docker.getContainer(dockerId).remove();
  }
});

test('a container of this host whose role belongs to another part of the service is never touched', async () => {
  const root = host.newRoot();
  const first = await host.start({ env: { ROOT: root } }).ready();
  const own = await hostContainer(first);
  const { Config } = await host.docker.getContainer(own).inspect();
  const other = await labelled(Config.Labels['ecs-host-service.host-id'] as string, 'node');
  await host.docker.getContainer(other).start();
  await host.docker.getContainer(other).stop({ t: 0 });
  await first.stop('SIGKILL');
  const second = await host.start({ env: { ROOT: root } }).ready();
  assert.ok(!(await isThere(own)), 'what the service left behind is removed');
  await host.docker.getContainer(other).restart({ t: 0 });
  await hostContainer(second);
  assert.equal(await second.stop(), 0);
  assert.ok((await host.docker.getContainer(other).inspect()).State.Running);
  await host.docker.getContainer(other).remove({ force: true });
});

/** An ended container whose directories were made again, because Docker does not start it without them. */
async function endedOne(service: ServiceProcess, dockerId: string, root: string) {
  const id = await host.containerIdOf(dockerId);
  const container = host.docker.getContainer(dockerId);
  await container.stop();
  await service.gone(id);
  for (const name of ['cgroup', 'containerResourceMappings', 'userConfigs/unpacked_configs'])
    mkdirSync(join(root, 'fractal', id, name), { recursive: true });
  mkdirSync(join(root, 'fractal/temp', id, 'sockets'), { recursive: true });
  return {
    start: () => container.start(),
    /** Removes the directories again if nobody else does. */
    clear: () => {
      for (const name of [id, `temp/${id}`])
        rmSync(join(root, 'fractal', name), { recursive: true, force: true });
    },
  };
}

test('a container that is started again after its end is removed, because its console may belong to another one', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const ended = await endedOne(service, dockerId, root);
  await ended.start();
  const line = await service.message('removed a container that was started again after its end');
  assert.equal(line.level, 'error');
  ended.clear();
  assert.ok(!(await isThere(dockerId)));
  assert.equal(await service.stop(), 0);
});

test('a container that was started again while Docker could not report it is removed as soon as Docker can', async () => {
  await using engine = await FaultyEngine.open();
  const root = host.newRoot();
  const service = await host.start({ env: { ...engine.settings, ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const own = join(root, 'fractal', await host.containerIdOf(dockerId));
  engine.before = () => {
    if (!existsSync(own)) engine.fault = 'fails';
  };
  const ended = await endedOne(service, dockerId, root);
  await service.message('cannot tell yet whether the container still runs');
  engine.before = () => {};
  await ended.start();
  await service.message('ending a container that was started again failed');
  engine.fault = undefined;
  await service.message('removed a container that was started again after its end');
  ended.clear();
  assert.ok(!(await isThere(dockerId)));
  assert.equal(await service.stop(), 0);
});

test('a container that was started again while Docker was away is removed when Docker is back', async () => {
  await using engine = await FaultyEngine.open();
  const root = host.newRoot();
  const service = await host.start({ env: { ...engine.settings, ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const ended = await endedOne(service, dockerId, root);
  engine.goAway();
  await service.message("lost Docker's event stream");
  await ended.start();
  engine.fault = undefined;
  // It is removed either by an end in progress, or as an untracked container.
  await service.line(({ msg }) => /^removed (a container that|an untracked container)/.test(msg));
  ended.clear();
  assert.ok(!(await isThere(dockerId)));
  assert.equal(await service.stop(), 0);
});

test('C32, C40: if Docker stays away, the service ends, and keeps and names what may be in use; bury removes it when Docker is back', async () => {
  const site = new Site(host);
  const service = await site.start();
  const id = await host.containerIdOf(await hostContainer(service));
  await host.stopDocker('SIGKILL');
  assert.equal(await service.stop(), 1);
  const held = service.lines
    .filter(({ msg }) => msg === 'a resource is still held at the end')
    .map(({ kind }) => kind);
  assert.ok(held.includes('tty') && held.includes('port') && held.includes('docker container'), String(held));
  assert.ok(existsSync(join(site.root, 'fractal', id, 'containerResourceMappings/tty')));
  const bury = site.run(['bury']);
  assert.equal(await bury.ended(), 1);
  assert.ok(
    !bury.lines.some(({ level }) => level === 'fatal'),
    'the service was asked to stop, so this is not a crash',
  );
  await host.startDocker();
  await site.over();
});
