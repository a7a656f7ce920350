/** The operator's API of a running service, on its unix socket. */

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { CLIENT_PORTS } from '../../container/network/published-ports.ts';
import { claim, host as hostContainer } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { CLIENT_SECRET, SECRET, TOKEN } from '../support/secrets.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

async function start() {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root } }).ready();
  return { root, service, operator: new Operator(root) };
}

test('operators list containers oldest first, filtered, and page by page', async () => {
  const { service, operator } = await start();
  assert.deepEqual((await operator.get('/v1/containers')).body.containers, []);
  const made: string[] = [];
  for (const app of ['a', 'b', 'a']) made.push(await hostContainer(service, { app }));
  await claim(service, await host.hostPort(made[1] as string));
  const listed = async (query: string) => {
    const { status, body } = await operator.get(`/v1/containers${query}`);
    assert.equal(status, 200);
    return body.containers.map(({ docker }: { docker: string }) => made.indexOf(docker));
  };
  assert.deepEqual(await listed(''), [0, 1, 2]);
  assert.deepEqual(await listed('?app=a'), [0, 2]);
  assert.deepEqual(await listed('?state=running'), [0, 2]);
  assert.deepEqual(await listed('?claimed=true'), [1]);
  assert.deepEqual(await listed('?claimed=false&app=b'), []);
  const { containers } = (await operator.get('/v1/containers')).body;
  for (const one of containers) assert.deepEqual((await operator.get(`/v1/containers/${one.id}`)).body, one);
  const first = (await operator.get('/v1/containers?limit=2')).body;
  assert.deepEqual(
    first.containers.map(({ docker }: { docker: string }) => docker),
    made.slice(0, 2),
  );
  // The container at the end of the page may be gone by then.
  await operator.ask('POST', `/v1/containers/${made[1]}/stop`);
  assert.deepEqual(await listed(`?after=${first.next}`), [2]);
  assert.equal((await operator.get(`/v1/containers?limit=2`)).body.next, undefined);
  assert.equal(await service.stop(), 0);
});

test('a container is found by its ids and their first digits, and its description says nothing about its user', async () => {
  const { service, operator } = await start();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  const port = await host.hostPort(dockerId);
  await claim(service, port);
  const { body, type } = await operator.get(`/v1/containers/${id}`);
  assert.equal(type, 'application/json; charset=utf-8');
  for (const secret of [CLIENT_SECRET, SECRET, TOKEN, 'user@'])
    assert.ok(!JSON.stringify(body).includes(secret));
  const { began, since, ports, tty, ...rest } = body;
  assert.deepEqual(rest, {
    id,
    docker: dockerId,
    role: 'spin-up',
    app: 'demo',
    state: 'ready',
    claimed: true,
    port,
  });
  assert.ok(Date.parse(began) < Date.parse(since) && tty >= 10);
  assert.deepEqual(Object.keys(ports).sort(), [...CLIENT_PORTS].sort());
  for (const name of [dockerId, id.slice(0, 12), dockerId.slice(0, 12)]) {
    assert.deepEqual((await operator.get(`/v1/containers/${name}`)).body, body);
  }
  assert.equal(await service.stop(), 0);
});

test('a stop ends a container in order and answers with its receipt, which is kept', async () => {
  const { service, operator } = await start();
  const dockerId = await hostContainer(service);
  const id = await host.containerIdOf(dockerId);
  const soFar = (await operator.get(`/v1/containers/${dockerId.slice(0, 8)}/receipt`)).body;
  assert.ok(
    soFar.container === id && soFar.resources.length > 0 && !('ended' in soFar) && soFar.docker === dockerId,
  );
  const [{ status, body }, again] = await Promise.all([
    operator.ask('POST', `/v1/containers/${dockerId}/stop`),
    operator.ask('POST', `/v1/containers/${id}/stop`),
  ]);
  assert.deepEqual([status, body], [200, again.body]);
  assert.deepEqual([body.container, body.code, body.cause], [id, 'operator', 'an operator stopped it']);
  assert.deepEqual((await host.docker.getContainer(dockerId).inspect()).State.Running, false);
  assert.ok(
    body.resources.every(
      ({ kind, released }: { kind: string; released?: string }) => released || kind === 'docker container',
    ),
  );
  assert.deepEqual((await operator.get(`/v1/containers/${id.slice(0, 8)}/receipt`)).body.states, body.states);
  assert.equal((await operator.get(`/v1/containers/${id}`)).status, 404);
  assert.equal(await service.stop(), 0);
});

test('the capacity shows for each resource how much is left, and which one is short', async () => {
  const { service, operator } = await start();
  const before = (await operator.get('/v1/capacity')).body;
  await hostContainer(service);
  const after = (await operator.get('/v1/capacity')).body;
  assert.deepEqual([before.short, before.fits - after.fits], ['consoles', 1]);
  assert.deepEqual(
    after.resources.map(({ name, held, each }: { name: string; held: number; each: number }) => [
      name,
      held,
      each,
    ]),
    [
      ['consoles', 1, 1],
      ['tcp ports', 2, 2],
      ['udp ports', 1, 1],
    ],
  );
  assert.ok(after.memory.available > 0 && after.memory.total > after.memory.available);
  assert.equal(await service.stop(), 0);
});

test('each state change is an event with its cause, and a client that reconnects continues where it was', async () => {
  const { service, operator } = await start();
  using follower = await operator.follow();
  const dockerId = await hostContainer(service);
  const up = await follower.until(({ container }) => container.state === 'running');
  assert.deepEqual(
    up.map(({ from, code, container: { state } }) => [from, code, state]),
    [
      [undefined, 'begun', 'preparing'],
      ['preparing', 'created', 'created'],
      ['created', 'started', 'running'],
    ],
  );
  follower[Symbol.dispose]();
  const listed = await operator.get('/v1/containers');
  assert.equal(listed.body.lastEvent, up.at(-1)?.id);
  await claim(service, await host.hostPort(dockerId));
  await host.docker.getContainer(dockerId).kill();
  await service.gone(await host.containerIdOf(dockerId));
  using later = await operator.follow(up.at(-2)?.id);
  const down = await later.until(({ container }) => container.state === 'gone');
  assert.deepEqual(
    down.map(({ code }) => code),
    ['started', 'assigned', 'furnished', 'exited', 'released'],
  );
  assert.deepEqual(
    new Set([...up, ...down].map(({ container }) => container.docker ?? dockerId)),
    new Set([dockerId]),
  );
  using behind = await operator.follow(listed.body.lastEvent);
  assert.equal(((await behind.next()) as { code: string }).code, 'assigned');
  using lost = await operator.follow('another-7');
  assert.equal(await lost.next(), 'missed');
  assert.equal(((await lost.next()) as { id: string }).id, up[0]?.id);
  assert.equal(await service.stop(), 0);
  assert.equal(await later.next(), undefined);
});

test('a stream is logged once, with its duration, when it ends, whoever ended it', async () => {
  const { service, operator } = await start();
  const lines = () => service.lines.filter(({ path }) => path === '/v1/events');
  const follower = await operator.follow();
  // The head of its answer has already arrived.
  const seen = performance.now();
  await operator.get('/v1/capacity');
  assert.deepEqual(lines(), []);
  const shortest = Math.floor(performance.now() - seen);
  follower[Symbol.dispose]();
  await service.line(({ path }) => path === '/v1/events');
  using _ = await operator.follow();
  assert.equal(await service.stop(), 0);
  assert.deepEqual(
    lines().map(({ msg, method, status }) => [msg, method, status]),
    Array(2).fill(['answered', 'GET', 200]),
  );
  assert.ok(Number(lines()[0]?.ms) >= shortest, service.log());
});

test('when the service stops, event streams receive an event before they end', async () => {
  const { service, operator } = await start();
  using follower = await operator.follow();
  await hostContainer(service);
  const stopped = service.stop();
  const seen = await follower.until(({ container }) => container.state === 'gone');
  assert.ok(seen.some(({ code }) => code === 'service-stopped'));
  assert.equal(await follower.next(), undefined);
  assert.equal(await stopped, 0);
});

test("a drain through the API shows in the host's state, and the service exits after its last container", async () => {
  const { service, operator } = await start();
  const dockerId = await hostContainer(service);
  const { id, ...found } = (await operator.get('/v1/host')).body;
  assert.deepEqual(
    [found.state, found.containers, found.environment, id],
    [
      'running',
      1,
      'localdev',
      (await host.docker.getContainer(dockerId).inspect()).Config.Labels['ecs-host-service.host-id'],
    ],
  );
  for (const _ of ['once', 'again']) {
    const { status, body } = await operator.ask('PUT', '/v1/drain');
    assert.deepEqual([status, body], [200, { containers: 1 }]);
  }
  assert.equal((await operator.get('/v1/host')).body.state, 'draining');
  assert.equal((await operator.get('/v1/capacity')).body.fits, 0);
  await operator.ask('POST', `/v1/containers/${dockerId}/stop`);
  assert.equal(await service.ended(), 0);
});

test('an invalid request is answered with a problem that says what to do', async () => {
  const { service, operator } = await start();
  for (const [method, path, status, title, detail] of [
    ['GET', '/v1/nothing', 404, 'request.not_found', /nothing at this path/],
    ['DELETE', '/v1/containers', 405, 'request.wrong_method', /Expected GET, POST, got DELETE/],
    ['GET', '/v1/drain', 405, 'request.wrong_method', /Expected PUT, got GET/],
    [
      'GET',
      '/v1/containers?limit=0',
      400,
      'request.invalid',
      /the query of the request is not valid: \/limit/,
    ],
    ['GET', '/v1/containers?limit=many', 400, 'request.invalid', /limit/],
    ['GET', '/v1/containers?states=ready', 400, 'request.invalid', /query/],
    ['GET', '/v1/containers?state=living', 400, 'request.invalid', /state/],
    ['GET', '/v1/containers/abc', 400, 'request.invalid', /path of the request is not valid: \/id/],
    ['GET', '/v1/containers/xyzw', 400, 'request.invalid', /id/],
    ['GET', '/v1/containers/abcd', 404, 'container.unknown', /no container .* begins with abcd; .*ps/],
    ['POST', '/v1/containers/abcd/stop', 404, 'container.unknown', /abcd/],
    ['GET', '/v1/containers/abcd/receipt', 404, 'container.no_receipt', /abcd/],
    ['GET', '/v1/agent', 404, 'agent.none', /ECS_AGENT/],
  ] as const) {
    const answer = await operator.ask(method, path);
    assert.deepEqual([answer.status, answer.body.title], [status, title], path);
    assert.match(answer.body.detail, detail);
    assert.equal(answer.type, 'application/problem+json; charset=utf-8');
  }
  assert.equal((await operator.ask('POST', '/v1/drain')).headers.allow, 'PUT');
  assert.equal(await service.stop(), 0);
});

test('whatever the umask, other users can never connect to a socket, not even before its mode is set', async () => {
  const before = process.umask(0);
  const { service } = await start().finally(() => process.umask(before));
  const [, umask] = /^Umask:\t(\d+)$/m.exec(readFileSync(`/proc/${service.child.pid}/status`, 'utf8')) ?? [];
  assert.equal(umask, '0022');
  assert.equal(await service.stop(), 0);
});

test('only root can use the socket; a stale one is replaced, and the service removes its own', async () => {
  const root = host.newRoot();
  const dead = await host.start({ env: { ROOT: root } }).ready();
  await dead.stop('SIGKILL');
  const path = join(root, 'run/ecs-host-service/api.sock');
  assert.ok(statSync(path).isSocket());
  const service = await host.start({ env: { ROOT: root } }).ready();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal((await new Operator(root).get('/v1/host')).status, 200);
  assert.equal(await service.stop(), 0);
});
