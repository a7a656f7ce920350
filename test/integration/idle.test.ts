/** Containers without clients. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { pathsBelow } from '../../host/paths.ts';
import { IMAGE } from '../../scripts/image.ts';
import { claim, host as spinUp } from '../support/callers.ts';
import { importShell, SHELL } from '../support/docker-cli.ts';
import { type Follower, Operator } from '../support/operator.ts';
import { importPortImages, PORT_IMAGE, SELF_IMAGE, stay } from '../support/port-program.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
  await importPortImages(host);
  await importShell(host.docker);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Made {
  readonly id: string;
  readonly docker: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly port: number;
}

async function make(operator: Operator, image: string, idleTimeout?: number): Promise<Made> {
  const { status, body } = await operator.ask('POST', '/v1/containers', { image, app: 'demo', idleTimeout });
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.idleTimeout, idleTimeout);
  return body;
}

async function stateOf(operator: Operator, { id }: Made): Promise<string> {
  return (await operator.get(`/v1/containers/${id}`)).body.state;
}

/** Resolves when the container ends because it is idle. */
async function untilIdle(events: Follower, { id }: Made): Promise<void> {
  const read = await events.until(({ container }) => container.id === id && container.state === 'ending');
  assert.equal(read.at(-1)?.code, 'idle', JSON.stringify(read.at(-1)));
}

async function start(env: Record<string, string> = {}): Promise<[ServiceProcess, Operator, string]> {
  const root = host.newRoot();
  // It checks their ports all the time, which does not count as use.
  const service = await host.start({ env: { ROOT: root, HEALTH_PROBE_SECONDS: '1', ...env } }).ready();
  return [service, new Operator(root), root];
}

test('a ready container without clients ends after its idle timeout, and one with a client after the client has left', async () => {
  const [service, operator] = await start();
  using events = await operator.follow();
  const [idle, used, unclaimed] = [
    await make(operator, PORT_IMAGE, 2),
    await make(operator, PORT_IMAGE, 2),
    await make(operator, PORT_IMAGE, 1),
  ];
  const client = await stay(used.port);
  await claim(service, used.port);
  await claim(service, idle.port);
  await untilIdle(events, idle);
  assert.deepEqual([await stateOf(operator, used), await stateOf(operator, unclaimed)], ['ready', 'running']);
  const receipt = (await operator.get(`/v1/containers/${idle.id}/receipt`)).body;
  assert.deepEqual([receipt.code, receipt.cause], ['idle', 'no client was connected to it for 2 s']);
  client.destroy();
  await untilIdle(events, used);
  assert.equal(await service.stop(), 0);
});

test('a container that connects to itself still counts as idle', async () => {
  const [service, operator] = await start();
  using events = await operator.follow();
  const made = await make(operator, SELF_IMAGE, 2);
  await claim(service, made.port);
  const { State } = await host.docker.getContainer(made.docker).inspect();
  const table = readFileSync(`/proc/${State.Pid}/net/tcp`, 'utf8');
  assert.equal(table.match(/:7E06 [\dA-F]{8}:[\dA-F]{4} 01 /g)?.length, 2, table);
  await untilIdle(events, made);
  assert.equal(await service.stop(), 0);
});

test('datagrams from a client count as use', async () => {
  const [service, operator] = await start();
  using events = await operator.follow();
  const [sentTo, other] = [await make(operator, PORT_IMAGE, 2), await make(operator, PORT_IMAGE, 3)];
  const client = createSocket('udp4');
  const timer = setInterval(() => client.send('x', sentTo.ports['32263/udp'] as number, '127.0.0.1'), 50);
  await claim(service, sentTo.port);
  await claim(service, other.port);
  await untilIdle(events, other);
  assert.equal(await stateOf(operator, sentTo), 'ready');
  clearInterval(timer);
  client.close();
  await untilIdle(events, sentTo);
  assert.equal(await service.stop(), 0);
});

test('IDLE_SECONDS applies to containers that were made without an idle timeout', async () => {
  const [service, operator] = await start({ IDLE_SECONDS: '2' });
  using events = await operator.follow();
  const forEver = await make(operator, IMAGE, 0);
  const { body: spunUp } = await operator.get(`/v1/containers/${await spinUp(service)}`);
  await claim(service, forEver.port);
  await claim(service, spunUp.port);
  await untilIdle(events, spunUp);
  assert.equal(await stateOf(operator, forEver), 'ready');
  assert.equal(await service.stop(), 0);
});

test("a container that shares another container's network has the clients of that network", async () => {
  const [service, operator, root] = await start({ IDLE_SECONDS: '2' });
  using events = await operator.follow();
  const task = { 'com.amazonaws.ecs.task-arn': 'arn:task/1' };
  const owner = await host.docker.createContainer({
    Image: PORT_IMAGE,
    Labels: task,
    ExposedPorts: { '32262/tcp': {} },
    HostConfig: { PublishAllPorts: true },
  });
  await owner.start();
  const client = await stay(await host.hostPort(owner.id));
  const proxy = new Dockerode({ socketPath: pathsBelow(root).dockerProxy });
  const sharing = await proxy.createContainer({
    Image: SHELL,
    Labels: { ...task, 'ecs-host-service.interactive': 'true' },
    HostConfig: { NetworkMode: `container:${owner.id}` },
  });
  await sharing.start();
  const { body: made } = await operator.get(`/v1/containers/${sharing.id}`);
  const other = await make(operator, PORT_IMAGE, 3);
  await claim(service, made.port);
  await claim(service, other.port);
  await untilIdle(events, other);
  assert.equal(await stateOf(operator, made), 'ready');
  client.destroy();
  await untilIdle(events, made);
  assert.equal(await service.stop(), 0);
  for (const { id } of [sharing, owner]) await host.docker.getContainer(id).remove({ force: true });
});

test('an adopted container keeps its idle timeout, which starts again', async () => {
  const [service, operator, ROOT] = await start();
  const made = await make(operator, PORT_IMAGE, 2);
  const client = await stay(made.port);
  await claim(service, made.port);
  await service.stop('SIGKILL');
  const next = await host.start({ env: { ROOT } }).ready();
  using events = await operator.follow();
  const { body } = await operator.get(`/v1/containers/${made.id}`);
  assert.deepEqual([body.state, body.idleTimeout], ['ready', 2]);
  client.destroy();
  await untilIdle(events, made);
  assert.equal(await next.stop(), 0);
});
