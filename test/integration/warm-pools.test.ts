/** Pools of warm containers, and the users who get one of them. */

import assert from 'node:assert/strict';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { IMAGE } from '../../scripts/image.ts';
import { askTcp, OK, startValues } from '../support/callers.ts';
import { FaultyEngine } from '../support/faulty-engine.ts';
import { askForMetrics } from '../support/metrics.ts';
import { Operator } from '../support/operator.ts';
import { CLIENT_SECRET, TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { receiptOf, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const MINIMAL = { image: IMAGE, app: 'demo' };
const forUser = (userId: string) => ({ userId, clientAppAuthSecret: CLIENT_SECRET });
const PORT_RANGE = '/proc/sys/net/ipv4/ip_local_port_range';

interface Started {
  readonly root: string;
  readonly service: ServiceProcess;
  readonly operator: Operator;
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ...env } }).ready();
  return { root, service, operator: new Operator(root) };
}

async function setPool(operator: Operator, fields: object): Promise<void> {
  const { status, body } = await operator.ask('PUT', '/v1/pools/demo', { ...MINIMAL, ...fields });
  assert.equal(status, 200, JSON.stringify(body));
}

/**
 * Waits until the pool has this number of ready containers.
 * @returns their ids, oldest first
 */
async function filled(operator: Operator, count: number): Promise<string[]> {
  await until(`${count} warm containers`, async () => {
    const { ready, lastError } = (await operator.get('/v1/pools/demo')).body;
    assert.equal(lastError, undefined);
    return ready === count;
  });
  return await warm(operator);
}

async function warm(operator: Operator): Promise<string[]> {
  const { containers } = (await operator.get('/v1/containers')).body;
  type Listed = { readonly id: string; readonly pool?: string; readonly state: string };
  const waiting = containers.filter(({ pool, state }: Listed) => pool === 'demo' && state === 'running');
  return waiting.map(({ id }: Listed) => id);
}

async function create(operator: Operator, fields: object = {}) {
  const { status, body } = await operator.ask('POST', '/v1/containers', { ...MINIMAL, ...fields });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

test('each user gets a warm container of the pool, and the pool is filled with new ones', async () => {
  using directory = mkdtempDisposableSync('/tmp/pools-');
  const POOL = join(directory.path, 'pools.json');
  const memory = 256 * 2 ** 20;
  writeFileSync(POOL, JSON.stringify({ demo: { ...MINIMAL, size: 2, memory, environment: { A: 'b' } } }));
  const { service, operator } = await start({ POOL });
  const ready = await filled(operator, 2);
  const asked = { memory, environment: { A: 'b' } };
  const first = await create(operator, { ...asked, startValues: forUser('one') });
  const second = await create(operator, { ...asked, startValues: forUser('two') });
  assert.deepEqual([first.id, second.id], ready);
  assert.deepEqual(
    [first.state, first.claimed, first.pool, first.warm],
    ['assigned', true, undefined, { pool: 'demo' }],
  );
  const path = `/v1/containers/${first.id}/config-token`;
  const token = { ...forUser('one'), configEncryptionToken: TOKEN };
  assert.equal((await operator.ask('PUT', path, token)).body.state, 'ready');
  assert.ok((await askTcp(first.port)).port);
  const others = await filled(operator, 2);
  assert.ok(!others.some((id) => ready.includes(id)));
  assert.equal((await operator.get('/v1/pools/demo')).body.taken, 2);
  assert.equal((await operator.ask('POST', `/v1/containers/${first.id}/stop`)).status, 200);
  assert.deepEqual(await warm(operator), others);

  // By its port, like the webserver.
  const { port } = (await operator.get(`/v1/containers/${others[0]}`)).body;
  assert.deepEqual(await startValues(service, port), OK);
  await until('another one is ready', async () => !(await filled(operator, 2)).includes(others[0] as string));
  assert.equal((await operator.ask('DELETE', '/v1/pools/demo')).body.ready, 2);
  await until('the pool is gone', async () => (await warm(operator)).length === 0);
  assert.equal((await operator.get('/v1/pools/demo')).status, 404);
  assert.equal(await service.stop(), 0);
});

test('the answer says why a new container does not come from a pool, and a request without start values gets a new container', async () => {
  const { service, operator } = await start();
  const startValues = forUser('one');
  assert.equal((await create(operator, { startValues })).warm, undefined);
  await setPool(operator, { image: 'not-here', size: 1, environment: { A: 'b' } });
  const whyFor = async (fields: object) => (await create(operator, { ...fields, startValues })).warm.why;
  assert.equal(await whyFor({}), `no pool has the image ${IMAGE}`);
  await until(
    'it cannot be made',
    async () => (await operator.get('/v1/pools/demo')).body.lastError !== undefined,
  );
  assert.match((await operator.get('/v1/pools/demo')).body.lastError, /not-here/);
  await setPool(operator, { size: 0, environment: { A: 'b' } });
  assert.equal(await whyFor({ pids: 100 }), 'the request differs from the pool demo in: environment, pids');
  assert.equal(await whyFor({ environment: { A: 'b' } }), 'no container of the pool demo was ready');
  const unassigned = await create(operator);
  assert.equal(unassigned.warm, undefined);
  const path = `/v1/containers/${unassigned.id}/start-values`;
  assert.equal((await operator.ask('PUT', path, startValues)).body.state, 'assigned');
  const wrong = await operator.ask('PUT', '/v1/pools/demo', {
    ...MINIMAL,
    size: 1,
    ports: [{ container: '80/tcp', host: 80 }],
  });
  assert.equal(wrong.status, 400);
  assert.equal(await service.stop(), 0);
});

test('a warm container is replaced when its image changes, when it dies, and when it is old', async () => {
  const { root, service, operator } = await start();
  const image = 'fractal/moving:tag';
  const tag = (from: string) => host.docker.getImage(from).tag({ repo: 'fractal/moving', tag: 'tag' });
  await tag(IMAGE);
  await setPool(operator, { image, size: 1 });
  const next = async (id: string | undefined) => {
    await until('another one is ready', async () => (await warm(operator)).some((one) => one !== id));
    return (await filled(operator, 1))[0] as string;
  };
  const first = await next(undefined);
  // Docker gives a new id to each import.
  await host.importImage('fractal/other');
  await tag('fractal/other');
  const second = await next(first);
  const { code, cause } = await receiptOf(root, first);
  assert.deepEqual([code, cause], ['pool', 'its image has changed']);
  const { docker } = (await operator.get(`/v1/containers/${second}`)).body;
  await host.docker.getContainer(docker).kill();
  const third = await next(second);
  await setPool(operator, { image, size: 1, maxAge: 1 });
  assert.notEqual(await next(third), third);
  assert.equal((await receiptOf(root, third)).cause, 'it has reached the maximum age of its pool');
  await tag(IMAGE);
  const claimed = await create(operator, { image, startValues: forUser('one') });
  const { Image } = await host.docker.getContainer(claimed.docker).inspect();
  assert.equal(Image, (await host.docker.getImage(IMAGE).inspect()).Id);
  assert.equal(await service.stop(), 0);
});

test('warm containers are counted separately, make room when it is short, and end first when the host drains', async () => {
  const range = readFileSync(PORT_RANGE, 'utf8');
  // Four ports are left, which are enough for two containers.
  writeFileSync(PORT_RANGE, '1029 60999');
  try {
    const { root, service, operator } = await start();
    await setPool(operator, { size: 3 });
    const ready = await filled(operator, 2);
    const { body } = await operator.get('/v1/capacity');
    assert.deepEqual([body.warm, body.fits], [2, 2]);
    assert.deepEqual(body.resources[1], { name: 'tcp ports', size: 4, held: 4, warm: 4, each: 2, fits: 2 });
    const inState = await askForMetrics(root);
    const counted = ['warm', 'running'].map((state) => inState('containers', JSON.stringify({ state })));
    assert.deepEqual(counted, [2, 0]);
    const other = await create(operator, { app: 'other' });
    assert.deepEqual([other.state, other.pool], ['running', undefined]);
    assert.deepEqual(await warm(operator), ready.slice(0, 1));
    assert.equal((await operator.get('/v1/capacity')).body.fits, 1);
    const { cause } = await receiptOf(root, ready[1] as string);
    assert.equal(cause, 'another container needed its resources');
    await operator.ask('PUT', '/v1/drain');
    await until('the pool is empty', async () => (await warm(operator)).length === 0);
    const refused = await operator.ask('POST', '/v1/containers', { ...MINIMAL, startValues: forUser('one') });
    assert.equal(refused.status, 503);
    await host.docker.getContainer(other.docker).kill();
    assert.equal(await service.ended(), 0);
  } finally {
    writeFileSync(PORT_RANGE, range);
  }
});

test('a hand-over keeps pools and their warm containers, but not a pool that has left the file of pools', async () => {
  using directory = mkdtempDisposableSync('/tmp/pools-');
  const POOL = join(directory.path, 'pools.json');
  writeFileSync(POOL, JSON.stringify({ written: { ...MINIMAL, size: 1, environment: { A: 'b' } } }));
  const root = host.newRoot();
  const service = await host.start({ launcher: [], env: { ROOT: root, POOL } }).ready();
  const operator = new Operator(root);
  await setPool(operator, { size: 2 });
  const ready = await filled(operator, 2);
  await until('the other pool is full', async () => {
    return (await operator.get('/v1/pools/written')).body.ready === 1;
  });
  writeFileSync(POOL, '{}');
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.message('took the host over', from);
  await service.line(({ msg, step }) => msg === 'step done' && step === 'heartbeats', from);
  assert.deepEqual(await filled(operator, 2), ready);
  const taken = await create(operator, { startValues: forUser('one') });
  assert.deepEqual([taken.id, taken.warm], [ready[0], { pool: 'demo' }]);
  assert.equal((await operator.get('/v1/pools/written')).status, 404);
  await operator.ask('DELETE', '/v1/pools/demo');
  await until('only the taken one is left', async () => {
    const { containers } = (await operator.get('/v1/containers')).body;
    return containers.length === 1;
  });
  assert.equal(await service.stop(), 0, service.log());
});

test('a hand-over waits for a container that is being made for a pool, and all of its containers stay', async () => {
  await using engine = await FaultyEngine.open();
  const root = host.newRoot();
  const service = await host.start({ launcher: [], env: { ROOT: root, ...engine.settings } }).ready();
  const operator = new Operator(root);
  await setPool(operator, { size: 1 });
  const [first] = await filled(operator, 1);
  const held = engine.spoil(/^POST .*\/containers\/create/, 'held');
  await setPool(operator, { size: 2 });
  await held;
  const from = service.lines.length;
  service.child.kill('SIGUSR1');
  await service.line(({ msg, step }) => msg === 'step done' && step === 'storing descriptors', from);
  engine.release();
  await service.message('took the host over', from);
  assert.equal((await filled(operator, 2))[0], first);
  assert.ok(!service.lines.some(({ msg }) => msg === 'container is gone'), service.log());
  assert.equal(await service.stop(), 0, service.log());
});
