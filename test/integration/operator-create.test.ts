/** Containers that operators make and set up through the API. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempDisposableSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { promisify } from 'node:util';
import { IMAGE } from '../../scripts/image.ts';
import { askTcp, USER } from '../support/callers.ts';
import { Operator } from '../support/operator.ts';
import { CLIENT_SECRET, TOKEN } from '../support/secrets.ts';
import { until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

const run = promisify(execFile);

const MINIMAL = { image: IMAGE, app: 'demo' };
const START_VALUES = {
  dpi: 144,
  containerArn: 'arn:task/7',
  userId: USER,
  clientAppAuthSecret: CLIENT_SECRET,
};
const CONFIG_TOKEN = { userId: USER, clientAppAuthSecret: CLIENT_SECRET, configEncryptionToken: TOKEN };

async function start(env: Readonly<Record<string, string>> = {}) {
  const root = host.newRoot();
  const service = await host.start({ env: { ROOT: root, ...env } }).ready();
  return { root, service, operator: new Operator(root) };
}

test('the API makes a container with everything that was requested, and the set-up calls set it up', async () => {
  using directory = mkdtempDisposableSync('/tmp/shared-');
  const shared = directory.path;
  const { service, operator } = await start({ ALLOWED_MOUNTS: `/srv,${shared}` });
  const { status, body } = await operator.ask('POST', '/v1/containers', {
    ...MINIMAL,
    environment: { GREETING: 'hällo = "x"', EMPTY: '' },
    cpus: 1.5,
    memory: 256 * 2 ** 20,
    pids: 100,
    sharedMemory: 2 ** 20,
    ports: [{ container: '8080/tcp' }, { container: '53/udp', host: 30_053 }],
    mounts: [
      { source: `${shared}/`, target: '/shared', readOnly: false },
      { source: '/srv', target: '/srv' },
    ],
    labels: { 'org.example.team': 'a' },
    timeout: 30,
  });
  assert.deepEqual([status, body.state, body.app, body.claimed], [201, 'running', 'demo', false]);
  assert.ok(body.ports['8080/tcp'] > 0 && body.port === body.ports['32262/tcp']);
  const { Config, HostConfig, Mounts } = await host.docker.getContainer(body.docker).inspect();
  assert.ok(Config.Env.includes('GREETING=hällo = "x"') && Config.Env.includes('EMPTY='));
  assert.equal(Config.Labels['org.example.team'], 'a');
  assert.deepEqual(
    [HostConfig.NanoCpus, HostConfig.Memory, HostConfig.PidsLimit, HostConfig.ShmSize],
    [1.5e9, 256 * 2 ** 20, 100, 2 ** 20],
  );
  assert.deepEqual(HostConfig.PortBindings['53/udp'], [{ HostIp: '', HostPort: '30053' }]);
  const rights = Object.fromEntries(Mounts.map(({ Destination, RW }) => [Destination, RW]));
  assert.deepEqual([rights['/shared'], rights['/srv']], [true, false]);

  const path = `/v1/containers/${body.id}`;
  const assigned = await operator.ask('PUT', `${path}/start-values`, START_VALUES);
  assert.deepEqual([assigned.status, assigned.body.state, assigned.body.claimed], [200, 'assigned', true]);
  assert.equal((await operator.ask('PUT', `${path}/start-values`, START_VALUES)).status, 200);
  const other = await operator.ask('PUT', `${path}/start-values`, { ...START_VALUES, dpi: 96 });
  assert.deepEqual([other.status, other.body.title], [409, 'container.other_start_values']);
  const wrong = await operator.ask('PUT', `${path}/config-token`, { ...CONFIG_TOKEN, userId: 'another' });
  assert.deepEqual([wrong.status, wrong.body.title], [403, 'container.token_mismatch']);
  const ready = await operator.ask('PUT', `${path}/config-token`, CONFIG_TOKEN);
  assert.deepEqual([ready.status, ready.body.state], [200, 'ready']);
  const found = await askTcp(body.port);
  assert.deepEqual([found.dpi, found.arn, found.timeout], ['144', 'arn:task/7', '30']);
  assert.equal(await service.stop(), 0);
});

test('start values can come with the request, and the token before them', async () => {
  const { service, operator } = await start();
  const first = (await operator.ask('POST', '/v1/containers', { ...MINIMAL, startValues: START_VALUES }))
    .body;
  assert.equal(first.state, 'assigned');
  const { body } = await operator.ask('POST', '/v1/containers', MINIMAL);
  const path = `/v1/containers/${body.id}`;
  assert.equal((await operator.ask('PUT', `${path}/config-token`, CONFIG_TOKEN)).body.state, 'running');
  using events = await operator.follow();
  assert.equal((await operator.ask('PUT', `${path}/start-values`, START_VALUES)).status, 200);
  await events.until(({ container }) => container.id === body.id && container.state === 'ready');
  assert.equal(await service.stop(), 0);
});

test('a container that is requested without a console has none', async () => {
  const { service, operator } = await start();
  const { status, body } = await operator.ask('POST', '/v1/containers', { ...MINIMAL, console: false });
  assert.deepEqual([status, body.tty], [201, undefined]);
  const { HostConfig } = await host.docker.getContainer(body.docker).inspect();
  assert.doesNotMatch(JSON.stringify(HostConfig.DeviceCgroupRules), /c 4:/);
  assert.equal(await service.stop(), 0);
});

test('filesystems that are mounted inside a read-only directory are not visible in the container', async () => {
  using directory = mkdtempDisposableSync('/tmp/shared-');
  const shared = directory.path;
  mkdirSync(join(shared, 'below'));
  await run('mount', ['-t', 'tmpfs', 'below', join(shared, 'below')]);
  try {
    const { service, operator } = await start({ ALLOWED_MOUNTS: shared });
    const mounts = [{ source: shared, target: '/shared' }];
    const { body } = await operator.ask('POST', '/v1/containers', { ...MINIMAL, mounts });
    const { State } = await host.docker.getContainer(body.docker).inspect();
    const seen = readFileSync(`/proc/${State.Pid}/mountinfo`, 'utf8').split('\n');
    assert.deepEqual(
      seen
        .flatMap((line) => (line.split(' ')[4]?.startsWith('/shared') ? [line.split(' ').slice(4, 6)] : []))
        .map(([at, how]) => [at, how?.split(',')[0]]),
      [['/shared', 'ro']],
    );
    assert.equal(await service.stop(), 0);
  } finally {
    await run('umount', [join(shared, 'below')]);
  }
});

test('a container whose start values cannot be stored is removed', async () => {
  const { service, operator, root } = await start();
  using events = await operator.follow();
  const created = operator.ask(
    'POST',
    '/v1/containers',
    { ...MINIMAL, startValues: { ...START_VALUES, containerArn: 'x'.repeat(60_000) } },
    { 'idempotency-key': 'k' },
  );
  const [first] = await events.until(() => true);
  const mappings = join(root, 'fractal', first?.container.id ?? '', 'containerResourceMappings');
  await until('its directory exists', () => existsSync(mappings));
  // No file can be written in place of a directory.
  mkdirSync(join(mappings, 'ContainerARN'));
  const { status, body } = await created;
  assert.deepEqual([status, body.title], [507, 'host.filesystem'], JSON.stringify(body));
  await events.until(({ container }) => container.state === 'gone');
  assert.deepEqual((await host.docker.listContainers({ all: true })).length, 0);
  assert.equal(
    (
      await operator.ask(
        'POST',
        '/v1/containers',
        { ...MINIMAL, startValues: START_VALUES },
        { 'idempotency-key': 'l' },
      )
    ).status,
    201,
  );
  assert.equal(await service.stop(), 0);
});

test('identical requests with the same key make one container', async () => {
  const { service, operator } = await start();
  const key = { 'idempotency-key': 'one' };
  const create = (body: object, headers: Record<string, string>) =>
    operator.ask('POST', '/v1/containers', body, headers);
  const [first, second] = await Promise.all([create(MINIMAL, key), create(MINIMAL, key)]);
  assert.deepEqual([first.status, second.body], [201, first.body]);
  assert.deepEqual((await create(MINIMAL, key)).body.id, first.body.id);
  const other = await create({ ...MINIMAL, pids: 10 }, key);
  assert.deepEqual([other.status, other.body.title], [422, 'create.other_request']);
  assert.notEqual((await create(MINIMAL, {})).body.id, first.body.id);
  const missing = { ...MINIMAL, image: 'fractal/none:here' };
  for (const _ of ['once', 'again']) {
    const { status, body } = await create(missing, { 'idempotency-key': 'two' });
    assert.deepEqual([status, body.title], [404, 'image.missing']);
  }
  assert.equal((await create(MINIMAL, { 'idempotency-key': 'two' })).status, 201);
  assert.equal((await operator.get('/v1/containers')).body.containers.length, 3);
  assert.equal(await service.stop(), 0);
});

test('a dry run reports whether there is room, and makes nothing', async () => {
  const { service, operator } = await start();
  const dry = async (more: object) =>
    (await operator.ask('POST', '/v1/containers?dryRun=true', { ...MINIMAL, ...more })).body;
  const usual = await dry({});
  assert.ok(usual.fits > 0 && usual.short === 'consoles');
  const huge = await dry({ memory: 2 ** 50 });
  assert.deepEqual([huge.fits, huge.short], [0, 'memory']);
  assert.deepEqual((await operator.get('/v1/containers')).body.containers, []);
  assert.deepEqual(service.heldByContainers(), []);
  await operator.ask('POST', '/v1/containers', MINIMAL);
  await operator.ask('PUT', '/v1/drain');
  for (const path of ['/v1/containers?dryRun=true', '/v1/containers']) {
    const refused = await operator.ask('POST', path, MINIMAL);
    assert.deepEqual([refused.status, refused.body.title], [503, 'service.draining']);
  }
  assert.equal(await service.stop(), 0);
});

test('a request for a forbidden mount or right is refused with what to do, and leaves nothing behind', async () => {
  const { service, operator, root } = await start({ ALLOWED_MOUNTS: '/srv' });
  const taken = (
    await operator.ask('POST', '/v1/containers', {
      ...MINIMAL,
      ports: [{ container: '53/udp', host: 30_053 }],
    })
  ).body;
  for (const [more, status, title] of [
    [{ app: '' }, 400, 'request.invalid'],
    [{ image: 7 }, 400, 'request.invalid'],
    [{ privileged: true }, 400, 'request.invalid'],
    [{ environment: { 'A=B': 'x' } }, 400, 'request.invalid'],
    [{ environment: { A: 'x\u0000y' } }, 400, 'request.invalid'],
    [{ labels: { 'ecs-host-service.host-id': 'x' } }, 400, 'request.invalid'],
    [{ cpus: '1' }, 400, 'request.invalid'],
    [{ memory: 1.5 }, 400, 'request.invalid'],
    [{ ports: [{ container: '8080' }] }, 400, 'request.invalid'],
    [{ startValues: { dpi: 96 } }, 400, 'request.invalid'],
    [{ mounts: [{ source: '/etc', target: '/x' }] }, 403, 'create.mount_not_allowed'],
    [{ mounts: [{ source: '/srv/../../etc', target: '/x' }] }, 403, 'create.mount_not_allowed'],
    [{ mounts: [{ source: '/srv/doc', target: '/x' }] }, 403, 'create.mount_not_allowed'],
    [{ mounts: [{ source: '/srv', target: '/fractal' }] }, 422, 'create.bad_target'],
    [{ mounts: [{ source: '/srv', target: '/tmp' }] }, 422, 'create.bad_target'],
    [{ mounts: [{ source: '/srv', target: '/sys/fs/cgroup/x' }] }, 422, 'create.bad_target'],
    [{ mounts: [{ source: '/srv', target: '/x/../dev' }] }, 422, 'create.bad_target'],
    [{ ports: [{ container: '99999/tcp' }] }, 422, 'create.refused'],
    [{ cpus: 10_000 }, 422, 'create.refused'],
    [{ image: 'UPPER case' }, 422, 'image.bad_reference'],
    [{ ports: [{ container: '80/tcp' }, { container: '80/tcp', host: 8080 }] }, 400, 'request.invalid'],
    [{ ports: [{ container: '80/tcp', host: 2375 }] }, 409, 'port.reserved'],
    [{ ports: [{ container: '80/tcp', host: 4678 }] }, 409, 'port.reserved'],
    [{ ports: [{ container: '80/tcp', host: 51_678 }] }, 409, 'port.reserved'],
    [{ gpu: true }, 409, 'create.no_gpu'],
    [{ ports: [{ container: '54/udp', host: 30_053 }] }, 409, 'port.in_use'],
    [{ image: 'fractal/none:here' }, 404, 'image.missing'],
  ] as const) {
    const answer = await operator.ask('POST', '/v1/containers', { ...MINIMAL, ...more });
    assert.deepEqual([answer.status, answer.body.title], [status, title], JSON.stringify(more));
  }
  const { containers } = (await operator.get('/v1/containers')).body;
  assert.deepEqual(
    containers.map(({ id }: { id: string }) => id),
    [taken.id],
  );
  assert.equal(
    readFileSync(join(root, 'fractal', taken.id, 'containerResourceMappings/tty'), 'utf8'),
    String(taken.tty),
  );
  assert.equal(
    (await operator.ask('PUT', `/v1/containers/${taken.id}/start-values`, '{')).body.title,
    'request.invalid',
  );
  assert.equal(await service.stop(), 0);
});
