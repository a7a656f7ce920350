import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { askTcp, askUdp, host as hostContainer, OK, spinUp, startValues, token } from '../support/callers.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

async function makeReady(service: ServiceProcess, port: number): Promise<void> {
  assert.deepEqual(await startValues(service, port), OK);
  assert.deepEqual(await token(service, port), OK);
}

test('C16: two containers run side by side, each with its own console and ports', async () => {
  const service = await host.start().ready();
  const ids = [await hostContainer(service), await hostContainer(service)] as const;
  const ports = await Promise.all(ids.map((id) => host.hostPort(id)));
  assert.equal(ports[0], 32262, 'the first container gets port 32262 itself');
  assert.notEqual(ports[1], 32262);

  for (const [i, port] of ports.entries()) {
    await makeReady(service, port);
    const found = await askTcp(port);
    assert.deepEqual(found, {
      port: String(port),
      tty: String(10 + i),
      dpi: '96',
      arn: 'arn:task/1',
      timeout: '60',
      userConfig: 'none',
      visits: 0,
      ownConsole: 'opened',
      otherConsole: 'Operation not permitted',
      deviceRules: 'Read-only file system',
    });
    assert.deepEqual(await askUdp(await host.hostPort(ids[i] as string, '32263/udp')), found);
  }
  assert.equal(await service.stop(), 0);
});

test('C33: a container that is killed from outside releases everything, and the other one keeps running', async () => {
  const service = await host.start().ready();
  const [first, second] = [await hostContainer(service), await hostContainer(service)];
  const port = await host.hostPort(second);
  const id = await host.containerIdOf(first);
  await host.docker.getContainer(first).kill();
  await service.gone(id);
  assert.equal((await startValues(service, 32262)).status, 406, 'the ended container is no longer found');
  await makeReady(service, port);
  assert.equal(await service.stop(), 0);
});

test('C14: a container that is removed from outside releases everything', async () => {
  const service = await host.start().ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  await host.docker.getContainer(dockerId).remove({ force: true });
  await service.gone(id);
  assert.equal(await service.stop(), 0);
});

test('the ports and consoles of ended containers are allotted again', async () => {
  const service = await host.start().ready();
  for (let round = 0; round < 3; round++) {
    const dockerId = await hostContainer(service);
    assert.equal(await host.hostPort(dockerId), 32262);
    const id = await host.containerIdOf(dockerId);
    await host.docker.getContainer(dockerId).remove({ force: true });
    await service.gone(id);
  }
  assert.equal(await service.stop(), 0);
});

test('C42: the directories have the modes and owners that programs need, and only root can enter them', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const id = await host.containerIdOf(await hostContainer(service));
  const modes = Object.fromEntries(
    [
      'fractal',
      `fractal/${id}`,
      `fractal/${id}/containerResourceMappings`,
      `fractal/${id}/containerResourceMappings/tty`,
      `fractal/${id}/userConfigs/unpacked_configs`,
      `fractal/temp/${id}`,
      `fractal/temp/${id}/sockets`,
      'fractalprivate',
      'fractalprivate/key.pem',
      'run/ecs-host-service',
      'var/lib/ecs-host-service',
      'var/lib/ecs-host-service/host-id',
    ].map((path) => {
      const { uid, mode } = statSync(join(root, path));
      return [path.replace(id, '<id>'), `${uid} ${(mode & 0o7777).toString(8)}`];
    }),
  );
  assert.deepEqual(modes, {
    // The mark of directories that a service made: see directories.ts.
    fractal: '0 1755',
    'fractal/<id>': '0 700',
    'fractal/<id>/containerResourceMappings': '0 755',
    'fractal/<id>/containerResourceMappings/tty': '0 644',
    'fractal/<id>/userConfigs/unpacked_configs': '1000 700',
    'fractal/temp/<id>': '0 700',
    'fractal/temp/<id>/sockets': '0 755',
    fractalprivate: '0 700',
    'fractalprivate/key.pem': '0 600',
    'run/ecs-host-service': '0 1700',
    'var/lib/ecs-host-service': '0 700',
    'var/lib/ecs-host-service/host-id': '0 600',
  });
  assert.equal(await service.stop(), 0);
});

test('C29: each mapping holds its bare value, and .ready appears last', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service, { timeout: -1 });
  const directory = join(root, 'fractal', await host.containerIdOf(dockerId), 'containerResourceMappings');
  assert.deepEqual(readdirSync(directory).sort(), ['hostPort_for_my_32262_tcp', 'timeout', 'tty']);
  await startValues(service, 32262, { dpi: null, container_ARN: null });
  assert.deepEqual(readdirSync(directory).sort(), [
    'ContainerARN',
    'hostPort_for_my_32262_tcp',
    'timeout',
    'tty',
  ]);
  await token(service, 32262);
  const contents = Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  );
  assert.deepEqual(contents, {
    '.ready': '.ready',
    ContainerARN: '',
    hostPort_for_my_32262_tcp: '32262',
    timeout: '-1',
    tty: '10',
    userConfig: 'none',
  });
  assert.equal(await service.stop(), 0);
});

test('a Docker container has the settings that programs in the images expect, and its labels', async () => {
  const root = host.newRoot();
  const own = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const mount_command = `--mount type=bind,source=${own},destination=/mnt/a,readonly -v ${own}:/mnt/b`;
  const { body } = await spinUp(service, { mount_command });
  const dockerId = JSON.parse(body).result;
  const { Config, HostConfig, Mounts } = await host.docker.getContainer(dockerId).inspect();
  assert.deepEqual([Config.Tty, Config.OpenStdin], [true, true]);
  assert.equal(Config.Labels['ecs-host-service.role'], 'spin-up');
  assert.equal(
    Config.Labels['ecs-host-service.host-id'],
    readFileSync(join(root, 'var/lib/ecs-host-service/host-id'), 'utf8').trim(),
  );
  assert.match(Config.Labels['ecs-host-service.container-id'] as string, /^[0-9a-f]{60}$/);
  assert.deepEqual(HostConfig.CapDrop, ['ALL']);
  assert.equal(HostConfig.CapAdd?.length, 15);
  assert.equal(HostConfig.ShmSize, 8 * 1024 ** 3);
  assert.deepEqual(Object.keys(HostConfig.Tmpfs ?? {}).sort(), ['/run', '/run/lock']);
  assert.deepEqual(HostConfig.DeviceCgroupRules, ['c 4:10 rw']);
  assert.equal(HostConfig.DeviceRequests, null, 'without the nvidia runtime there is no GPU');
  const targets = Mounts.filter(({ Destination }) => !Destination.startsWith('/sys/fs/cgroup/')).map(
    ({ Destination, RW }) => `${Destination} ${RW ? 'rw' : 'ro'}`,
  );
  assert.deepEqual(targets.sort(), [
    '/fractal/resourceMappings ro',
    '/fractal/userConfigs rw',
    '/mnt/a ro',
    '/mnt/b rw',
    '/tmp/sockets rw',
  ]);
  assert.equal(await service.stop(), 0);
});

test('a Docker container that its client has not removed is removed when the service ends', async () => {
  const service = await host.start().ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  await host.docker.getContainer(dockerId).stop();
  await service.gone(id);
  assert.equal(
    (await host.docker.getContainer(dockerId).inspect()).State.Status,
    'exited',
    'its log can be read',
  );
  assert.equal(await service.stop(), 0);
});

test('the directory that Docker makes for a bind of old task definitions is removed with the container', async () => {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  mkdirSync(join(root, 'fractalCloudStorage', id), { recursive: true });
  await host.docker.getContainer(dockerId).kill();
  await service.gone(id);
  assert.deepEqual(readdirSync(join(root, 'fractalCloudStorage')), []);
  rmdirSync(join(root, 'fractalCloudStorage'));
  assert.equal(await service.stop(), 0);
});
