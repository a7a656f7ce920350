/** Changes that clients make between the service's check and Docker's use give a hosted container no more rights. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { DockerCli, importShell, SHELL } from '../support/docker-cli.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { callProxy } from '../support/proxy-call.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

const LABEL = ['--label', 'ecs-host-service.interactive=true'];

let host: TestHost;
let engine: FaultyEngine;
let service: ServiceProcess;
let proxy: string;
let cli: DockerCli;
before(async () => {
  host = await TestHost.open();
  await importShell(host.docker);
  engine = await FaultyEngine.open();
  const root = host.newRoot();
  service = await host.start({ env: { ROOT: root, ...engine.settings } }).ready();
  proxy = join(root, 'run/ecs-host-service/docker.sock');
  cli = new DockerCli(proxy);
});
after(async () => {
  try {
    assert.equal(await service.stop(), 0, service.log());
    await host.finish();
  } finally {
    await engine[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
  }
});
afterEach(async () => {
  for (const { Id } of await host.docker.listContainers({ all: true })) {
    await host.docker.getContainer(Id).remove({ force: true });
  }
  await until('nothing is held', () => service.heldByContainers().length === 0);
});

const ask = (method: string, path: string, body: string | Buffer, type?: string) =>
  callProxy(proxy, method, path, body, type);

/** Sends a call for the container `one`, whose name `two` takes as soon as the service has looked it up. */
async function exchanging(one: string, two: string, ...call: Parameters<typeof ask>) {
  const looked = engine.spoil(/^GET \/containers\/one\/json/, 'held');
  const answer = ask(...call);
  await looked;
  await host.docker.getContainer(one).rename({ name: 'other' });
  await host.docker.getContainer(two).rename({ name: 'one' });
  engine.release();
  const answered = await answer;
  await host.docker.getContainer(two).rename({ name: 'two' });
  await host.docker.getContainer(one).rename({ name: 'one' });
  return answered;
}

async function inspect(dockerId: string) {
  return await host.docker.getContainer(dockerId).inspect();
}

test('a call acts on the container that the service checked, even if a hosted one takes its name meanwhile', async () => {
  const one = await cli.ok('run', '-d', '--name', 'one', '-v', '/fractal/userConfigs', SHELL);
  const hosted = await cli.ok('run', '-d', '--name', 'two', ...LABEL, SHELL);
  await cli.ok('network', 'create', 'net');
  const before = await inspect(hosted);
  const on = (what: string) => `/v1.41/containers/one/${what}`;

  const privileged = JSON.stringify({ Cmd: ['/bin/true'], Privileged: true });
  const { status, message } = await exchanging(one, hosted, 'POST', on('exec'), privileged);
  assert.equal(status, 201, message);
  const { ContainerID } = await host.docker.getExec(JSON.parse(message).Id).inspect();
  assert.equal(ContainerID, one);

  const policy = JSON.stringify({ RestartPolicy: { Name: 'always' } });
  assert.equal((await exchanging(one, hosted, 'POST', on('update'), policy)).status, 200);
  assert.equal((await inspect(one)).HostConfig.RestartPolicy?.Name, 'always');

  const address = { Container: 'one', EndpointConfig: { MacAddress: '02:00:00:00:00:01' } };
  const connect = ['POST', '/v1.41/networks/net/connect', JSON.stringify(address)] as const;
  assert.equal((await exchanging(one, hosted, ...connect)).status, 200);
  assert.ok((await inspect(one)).NetworkSettings.Networks.net);

  const file = join(host.newRoot(), 'file');
  writeFileSync(file, 'text');
  const archive = execFileSync('tar', ['-C', join(file, '..'), '-cf', '-', 'file']);
  const copy = ['PUT', on('archive?path=/fractal/userConfigs'), archive, 'application/x-tar'] as const;
  assert.equal((await exchanging(one, hosted, ...copy)).status, 200);
  assert.equal(
    await new DockerCli('/run/docker.sock').ok('exec', one, 'cat', '/fractal/userConfigs/file'),
    'text',
  );

  const restarted = (await inspect(one)).State.StartedAt;
  assert.equal((await exchanging(one, hosted, 'POST', on('restart?t=0'), '')).status, 204);
  assert.notEqual((await inspect(one)).State.StartedAt, restarted);

  const after = await inspect(hosted);
  assert.deepEqual(after.HostConfig, before.HostConfig);
  assert.deepEqual(Object.keys(after.NetworkSettings.Networks), ['bridge']);
  assert.equal(after.State.StartedAt, before.State.StartedAt);
  await cli.ok('rm', '-f', one);
  await cli.ok('network', 'rm', 'net');
});

test('a hosted container is not started in place of another container whose name it took', async () => {
  const hosted = await cli.ok('create', '--name', 'two', ...LABEL, SHELL);
  for (const words of [[], LABEL]) {
    const one = await cli.ok('create', '--name', 'one', ...words, SHELL);
    assert.equal((await exchanging(one, hosted, 'POST', '/v1.41/containers/one/start', '')).status, 204);
    assert.ok((await inspect(one)).State.Running);
    assert.equal((await inspect(hosted)).State.Status, 'created');
    await cli.ok('rm', '-f', one);
  }
});

test('a hosted container cannot take the id of another container as its name', async () => {
  const id = 'a'.repeat(64);
  const hosted = await cli.ok('create', '--name', 'two', ...LABEL, SHELL);
  const body = JSON.stringify({ Image: SHELL, Labels: { 'ecs-host-service.interactive': 'true' } });
  assert.equal((await ask('POST', `/v1.41/containers/create?name=${id}`, body)).status, 422);
  for (const name of [id, `/${id}`, `b&name=${id}`])
    assert.equal((await ask('POST', `/v1.41/containers/two/rename?name=${name}`, '')).status, 422, name);
  await ask('POST', '/v1.41/containers/two/rename', `name=${id}`, 'application/x-www-form-urlencoded');
  assert.equal((await inspect(hosted)).Name, '/two');
  assert.equal((await ask('POST', '/v1.41/containers/two/rename?name=three', '')).status, 204);
  assert.equal((await inspect(hosted)).Name, '/three');
});

test('a link points to the container that the service checked, even if another takes its name meanwhile', async () => {
  const one = await cli.ok('run', '-d', '--name', 'one', ...LABEL, SHELL);
  const stranger = await cli.ok('run', '-d', '--name', 'two', SHELL);
  const body = {
    Image: SHELL,
    Labels: { 'ecs-host-service.interactive': 'true' },
    HostConfig: { Links: ['one:a', 'one'] },
  };
  const create = ['POST', '/v1.41/containers/create?name=three', JSON.stringify(body)] as const;
  const { status, message } = await exchanging(one, stranger, ...create);
  assert.equal(status, 201, message);
  assert.deepEqual((await inspect('three')).HostConfig.Links.toSorted(), [
    '/one:/three/a',
    '/one:/three/one',
  ]);
});

test('a hosted container joins no host network, even if that network takes the name of another one', async () => {
  // The parent of a macvlan network is an interface of the host.
  execFileSync('ip', ['link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'elsewhere']);
  const other = ['network', 'create', '-d', 'macvlan', '-o', 'parent=lan', 'net'];
  const exchange = async () => {
    await cli.ok('network', 'rm', 'net');
    await cli.ok(...other);
  };
  const inNet = ['create', ...LABEL, '--network', 'net', SHELL];
  await cli.ok('network', 'create', 'net');
  const made = await cli.ok(...inNet);
  await exchange();
  assert.match(await cli.fails('start', made), /may not ask for the network "net"/);
  await cli.ok('network', 'rm', 'net');

  await cli.ok('network', 'create', 'net');
  const looked = await cli.ok(...inNet);
  const held = engine.spoil(/^GET \/networks\/\w+/, 'held');
  const started = cli.run('start', looked);
  await held;
  await exchange();
  engine.release();
  assert.match((await started).err, /may not ask for the network "net"/);
  await cli.ok('network', 'rm', 'net');

  await cli.ok('network', 'create', 'net');
  const running = await cli.ok('run', '-d', ...LABEL, SHELL);
  const seen = engine.spoil(/^GET \/networks\/net/, 'held');
  const connected = cli.run('network', 'connect', 'net', running);
  await seen;
  await exchange();
  engine.release();
  assert.match((await connected).err, /may not ask for the network "net"/);
  assert.deepEqual(Object.keys((await inspect(running)).NetworkSettings.Networks), ['bridge']);
  await cli.ok('network', 'rm', 'net');
  execFileSync('ip', ['link', 'delete', 'lan']);
});
