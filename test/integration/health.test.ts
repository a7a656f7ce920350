/** The health of containers, as seen from outside. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import Dockerode from 'dockerode';
import { type ContainerEvent, isOfHealth } from '../../container/events.ts';
import { pathsBelow } from '../../host/paths.ts';
import { claim, host as spinUp } from '../support/callers.ts';
import { type Follower, Operator } from '../support/operator.ts';
import { importPortImages, PORT_IMAGE } from '../support/port-program.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

/** Lets containers keep running while Docker restarts. */
const DOCKER = ['--live-restore'];

let host: TestHost;
before(async () => {
  host = await TestHost.open(DOCKER);
  await importPortImages(host);
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

interface Started {
  readonly root: string;
  readonly service: ServiceProcess;
  readonly operator: Operator;
}

async function start(): Promise<Started> {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, HEALTH_PROBE_SECONDS: '1' } }).ready();
  return { root, service, operator: new Operator(root) };
}

/** The next change of a container's health with this code. @param dockerId if it is missing: any container */
async function until(
  events: Follower,
  code: ContainerEvent['code'],
  dockerId?: string,
): Promise<ContainerEvent> {
  const fits = ({ code: found, container: { docker } }: ContainerEvent) =>
    found === code && (dockerId ?? docker) === docker;
  const read = await events.until(fits, () => true);
  return read.at(-1) as ContainerEvent;
}

async function pidOf(dockerId: string): Promise<number> {
  return (await host.docker.getContainer(dockerId).inspect()).State.Pid;
}

/** Makes the program with that pid accept clients, or stop accepting them. */
function tell(pid: number, takes: boolean): void {
  execFileSync('kill', [takes ? '-USR2' : '-USR1', String(pid)]);
}

async function metric(root: string, check: string, health: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asked = request({ socketPath: pathsBelow(root).apiSocket, path: '/metrics', agent: false });
  asked
    .on('response', (response) => resolve(text(response)))
    .on('error', reject)
    .end();
  const series = `ecs_host_service_containers_health{check="${check}",health="${health}"} `;
  const line = (await promise).split('\n').find((one) => one.startsWith(series));
  return Number(line?.slice(series.length));
}

test("changes of a port's health are events, and lists and metrics show whether it accepts connections", async () => {
  const { root, service, operator } = await start();
  using events = await operator.follow();
  const dockerId = await spinUp(service);
  await until(events, 'port-closed');
  assert.equal(await metric(root, 'port', 'closed'), 1);
  await claim(service, await host.hostPort(dockerId));
  const { container, cause } = await until(events, 'port-open');
  assert.equal(cause, '32262/tcp takes connections');
  assert.deepEqual([container.state, container.health?.port], ['ready', 'open']);
  const { body } = await operator.get('/v1/containers');
  assert.deepEqual(body.containers[0].health, container.health);
  assert.deepEqual([await metric(root, 'port', 'open'), await metric(root, 'port', 'closed')], [1, 0]);
  const ps = host.start({ env: { ROOT: root }, arguments: ['ps'] });
  assert.equal(await ps.ended(), 0);
  assert.match(ps.log(), / HEALTH +APP .*\n.* ready +\d+ s +open +demo /);
  assert.equal(await service.stop(), 0);
  const last = await events.until(
    ({ container: { state } }) => state === 'gone',
    () => true,
  );
  assert.ok(!last.some(isOfHealth), 'its health was reported after its end');
});

test('a container whose port closes keeps running, and the reopening is reported', async () => {
  const { service, operator } = await start();
  using events = await operator.follow();
  const { body } = await operator.ask('POST', '/v1/containers', { image: PORT_IMAGE, app: 'demo' });
  const pid = await pidOf(body.docker);
  for (const takes of [true, false, true]) {
    tell(pid, takes);
    await until(events, takes ? 'port-open' : 'port-closed');
  }
  assert.equal((await operator.get(`/v1/containers/${body.id}`)).body.state, 'running');
  assert.equal(await service.stop(), 0);
});

/** Makes a container with a Docker health check that asks whether it accepts clients. @returns its docker id */
async function makeChecked(root: string): Promise<string> {
  const proxy = new Dockerode({ socketPath: pathsBelow(root).dockerProxy });
  const made = await proxy.createContainer({
    Image: PORT_IMAGE,
    Labels: { 'ecs-host-service.interactive': 'true' },
    Healthcheck: { Test: ['CMD', '/port-program', 'check'], Interval: 2e8, Timeout: 1e9, Retries: 1 },
  });
  await made.start();
  return made.id;
}

test("the result of Docker's own health check is reported too, and the port is checked even while Docker is away", async () => {
  const { root, service, operator } = await start();
  using events = await operator.follow();
  const dockerId = await makeChecked(root);
  const { cause } = await until(events, 'healthy');
  assert.equal(cause, "Docker's check of it says: healthy");
  const pid = await pidOf(dockerId);
  tell(pid, false);
  const { container } = await until(events, 'unhealthy');
  assert.equal(container.state, 'running');
  assert.equal(await metric(root, 'docker', 'unhealthy'), 1);
  tell(pid, true);
  await until(events, 'healthy');
  await host.stopDocker('SIGKILL');
  tell(pid, false);
  await until(events, 'port-closed');
  await host.startDocker(DOCKER);
  const another = await makeChecked(root);
  await until(events, 'healthy', another);
  tell(pid, true);
  const { container: same } = await until(events, 'port-open', dockerId);
  assert.equal(same.state, 'running');
  assert.equal(await service.stop(), 0);
  for (const id of [dockerId, another]) await host.docker.getContainer(id).remove();
});
