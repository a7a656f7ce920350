/** Upgrades: one service hands its host to the next, and nobody's container ends. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request as askHttps } from 'node:https';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { pathsBelow } from '../../host/paths.ts';
import { Ledger } from '../../lifetime/ledger.ts';
import { handOverFile } from '../../src/hand-over/goes-on.ts';
import { BusyCallers, callApi, callDocker } from '../support/busy-callers.ts';
import { askTcp, claim, host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { dial, PING } from '../support/docker-proxy-peers.ts';
import { Receiver } from '../support/receiver.ts';
import { NEXT_OPERATOR_TOKEN, OPERATOR_TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { end, hostTwo, KILLED, running, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

const NOTIFY_SOCKET = '@hand-over-test';
/** The environment with which the launcher restarts a service, and with which it starts the clean-up. */
const STARTED_AGAIN = { NOTIFY_SOCKET, RESTART_STATUS: '79', FDSTORE: '512' };
const STOPPED = { SERVICE_RESULT: 'success', EXIT_CODE: 'exited', EXIT_STATUS: '0' };

interface Browsed {
  readonly body?: string;
  readonly cookie?: string;
}

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('several upgrades in a row end no container, and each service continues where the last one stopped', async () => {
  const site = new Site(host);
  const service = await host.start({ launcher: [], env: { ROOT: site.root } }).ready();
  const { unclaimed, claimed, port } = await hostTwo(host, service);
  const first = await host.hostPort(unclaimed);
  assert.deepEqual(await token(service, first), OK);
  const before = await running(host);
  for (let upgrades = 0; upgrades < 2; upgrades++) {
    const from = service.lines.length;
    service.child.kill('SIGUSR1');
    await service.message('took the host over', from);
    await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
  }
  assert.deepEqual(await running(host), before);
  assert.ok(!existsSync(handOverFile(pathsBelow(site.root))), 'the hand-over is complete');
  // The token arrived at the first service, and the start values arrive at the third.
  assert.deepEqual(await startValues(service, first), OK);
  await until('its program is ready', async () => (await askTcp(first)).dpi === '96');
  assert.equal((await startValues(service, port, { dpi: 97 })).status, 406);
  assert.ok(!service.lines.some(({ level }) => level === 'error'), service.log());
  const cameTo = service.lines.filter(({ msg, container }) => msg === 'container is running' && container);
  assert.equal(cameTo.length, 2, 'no container came to a state again');
  const newer = await hostContainer(service);
  assert.ok(![unclaimed, claimed].includes(newer));
  assert.equal(await service.stop(), 0);
});

test('when a container ends after a hand-over, the ledger has nothing of it but its Docker container', async () => {
  const site = new Site(host);
  const service = await host.start({ launcher: [], env: { ROOT: site.root } }).ready();
  const { claimed } = await hostTwo(host, service);
  const id = await host.containerIdOf(claimed);
  service.child.kill('SIGUSR1');
  await service.message('took the host over');
  await end(host, claimed);
  await service.gone(id);
  const page = new Ledger(pathsBelow(site.root).ledger).open().find(({ name }) => name === id);
  assert.deepEqual(
    page?.entries.map(({ kind }) => kind),
    ['docker container'],
  );
  assert.equal(await service.stop(), 0);
});

test('after a hand-over, the host sends heartbeats under the same registration, and none says that it dies', async () => {
  const world = await World.open();
  const env = { ...world.settings, APP_ENV: 'localdev', ROOT: host.newRoot() };
  const service = await host.start({ launcher: [], env }).ready();
  await world.webserver.request(({ body }) => body.includes('IsDyingHeartbeat'));
  const [, first] = world.beats;
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  await until('the next service has sent a heartbeat', () => world.beats.length === 3);
  const [, , second] = world.beats;
  assert.deepEqual(
    [first, second].map((beat) => [beat?.fields.AuthToken, beat?.fields.IsDyingHeartbeat]),
    Array(2).fill([first?.fields.AuthToken, 'False']),
  );
  assert.equal(await service.stop(), 0, service.log());
  assert.equal(world.beats.at(-1)?.fields.IsDyingHeartbeat, 'True');
  assert.equal(world.beats.filter(({ call }) => call === 'auth').length, 1);
  await world.close();
});

test('while a service hands its host over, every call on a new connection is answered', async () => {
  const site = new Site(host);
  const service = await host.start({ launcher: [], env: { ROOT: site.root } }).ready();
  const { port } = await hostTwo(host, service);
  const callers = new BusyCallers([
    callApi(site.root),
    () => token(service, port).then(({ status }) => status),
    callDocker(site.root),
  ]);
  for (let upgrades = 0; upgrades < 3; upgrades++) {
    const from = service.lines.length;
    service.child.kill('SIGUSR1');
    await Promise.race([callers.failure, service.message('took the host over', from)]);
    await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
  }
  for (const answers of await callers.end()) assert.ok(answers > 3);
  assert.equal(await service.stop(), 0);
});

/** Clients that are connected to the HTTPS port and to the operator's socket, and have not sent a complete request. */
async function unfinishedClients({ port, apiSocket }: ServiceProcess) {
  const half = 'PUT /set_container_start_values HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{';
  const open = async (client: Socket, connected: string, says = '') => {
    await once(client, connected);
    client.on('error', () => {}).resume();
    client.write(says);
    return client;
  };
  const https = { host: '127.0.0.1', port };
  const tls = () => connectTls({ ...https, rejectUnauthorized: false });
  return await Promise.all([
    open(connect(https), 'connect'),
    open(tls(), 'secureConnect'),
    open(tls(), 'secureConnect', half),
    open(connect(apiSocket), 'connect'),
    open(connect(apiSocket), 'connect', half),
  ]);
}

test('clients that are connected and ask for nothing are disconnected in a hand-over, and the others are answered', async () => {
  const site = new Site(host);
  const service = await host.start({ launcher: [], env: { ROOT: site.root } }).ready();
  const { port } = await hostTwo(host, service);
  const clients = await unfinishedClients(service);
  const callers = new BusyCallers([
    callApi(site.root),
    () => token(service, port).then(({ status }) => status),
  ]);
  service.child.kill('SIGUSR1');
  await Promise.race([callers.failure, service.message('took the host over')]);
  await callers.end();
  await until('all of them are disconnected', () => clients.every(({ closed }) => closed));
  assert.equal(await service.stop(), 0);
});

test('a Docker client that sends its request only after a hand-over is answered', async () => {
  const site = new Site(host);
  const service = await host.start({ launcher: [], env: { ROOT: site.root } }).ready();
  const client = await dial(site.dockerProxy);
  // A later connection that is answered was accepted later.
  assert.equal(await callDocker(site.root)(), 200);
  for (let upgrades = 0; upgrades < 2; upgrades++) {
    const from = service.lines.length;
    service.child.kill('SIGUSR1');
    await service.message('took the host over', from);
    await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
  }
  client.say(PING);
  await client.hear('200 OK');
  assert.equal(await service.stop(), 0);
  await client.ended();
  client.socket.destroy();
});

/** A browser's call with a session. @returns the status, and the cookie of the session that the answer sets */
async function browse(service: ServiceProcess, path: string, { body, cookie }: Browsed = {}) {
  const answered = Promise.withResolvers<IncomingMessage>();
  const { port } = service;
  const origin = `https://127.0.0.1:${port}`;
  const headers = {
    origin,
    'x-ecs-host-service-console': '1',
    ...(body && { 'content-type': 'application/json' }),
    ...(cookie && { cookie }),
  };
  const how = { host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false };
  const method = path.startsWith('/console/') ? 'POST' : 'GET';
  askHttps({ ...how, method }, answered.resolve)
    .on('error', answered.reject)
    .end(body);
  const answer = (await answered.promise).resume();
  return { status: answer.statusCode, cookie: answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '' };
}

test('a session of the web console is valid in the next service, and ends with the token', async () => {
  const root = host.newRoot();
  const file = `${root}-token`;
  writeFileSync(file, OPERATOR_TOKEN, { mode: 0o600 });
  const env = { ROOT: root, OPERATOR_TOKEN_FILE: file };
  const service = await host.start({ launcher: [], env }).ready();
  const body = JSON.stringify({ token: OPERATOR_TOKEN });
  const [{ cookie }, { cookie: other }] = [
    await browse(service, '/console/session', { body }),
    await browse(service, '/console/session', { body }),
  ];
  assert.equal((await browse(service, '/console/sign-out', { body: '{}', cookie: other })).status, 200);
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  assert.equal((await browse(service, '/v1/host', { cookie })).status, 200);
  assert.equal((await browse(service, '/v1/host', { cookie: other })).status, 401);
  writeFileSync(file, NEXT_OPERATOR_TOKEN, { mode: 0o600 });
  await until('the session has ended', async () => {
    const { status } = await browse(service, '/v1/host', { cookie });
    return status === 401;
  });
  assert.equal(await service.stop(), 0, service.log());
});

/** A service that has handed over its host, which no other service has taken yet. */
async function handedOver(site: Site) {
  await using _ = await Receiver.open(NOTIFY_SOCKET);
  const service = await site.run([], STARTED_AGAIN).ready();
  const containers = await hostTwo(host, service);
  assert.equal(await service.stop('SIGPWR'), 79, service.log());
  return containers;
}

test('after a hand-over, a start that fails changes nothing, and the next start takes over', async () => {
  const site = new Site(host);
  const { port } = await handedOver(site);
  const before = await running(host);
  const broken = host.start({
    entry: 'dying-service.ts',
    arguments: ['step-fails', 'nodes'],
    env: { ROOT: site.root },
  });
  assert.equal(await broken.ended(), 1, broken.log());
  assert.ok(!broken.lines.some(({ level }) => level === 'fatal'), 'it is no crash yet');
  assert.deepEqual(await running(host), before);
  const service = await site.start();
  assert.deepEqual(await running(host), before);
  assert.deepEqual(await token(service, port), OK);
  assert.equal(await service.stop(), 0);
});

test('after a hand-over, a stop ends all containers, and a crash keeps those in use', async () => {
  const site = new Site(host);
  await handedOver(site);
  await site.bury(STOPPED);
  assert.deepEqual(await running(host), []);
  assert.ok(!existsSync(site.runDirectory));

  const { claimed } = await handedOver(site);
  const bury = await site.bury(KILLED);
  assert.equal(bury.lines.find(({ level }) => level === 'fatal')?.msg, 'the service died: killed by SIGKILL');
  assert.deepEqual(await running(host), [claimed]);
  await site.waits();
  const service = await site.start();
  await claim(service, await host.hostPort(claimed));
  assert.equal(await service.stop(), 0);
});
