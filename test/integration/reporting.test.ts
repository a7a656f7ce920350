import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { host as hostContainer, startValues, token } from '../support/callers.ts';
import { isLook } from '../support/metadata.ts';
import { LOGZIO_TOKEN, OWN_SECRET, SENTRY_KEY } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';
import { METADATA, World } from '../support/world.ts';

let host: TestHost;
let world: World;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await World.open();
});
afterEach(async () => {
  await world.close();
  await host.finish();
});

function start(env: Readonly<Record<string, string>> = {}, fault?: string): ServiceProcess {
  const entry = fault ? { entry: 'dying-service.ts', arguments: [fault] } : {};
  return host.start({ env: { ...world.settings, ...env }, ...entry });
}

/** The environment in which everything is enabled and developers can spin containers up. */
const LOCALDEV = { APP_ENV: 'localdev' };

const AWS_TAGS = Object.fromEntries(
  Object.entries(METADATA).map(([name, value]) => [`aws.${name.replace('/', '-')}`, value]),
);

const beat = (dying: unknown) => (request: { body: string }) =>
  JSON.parse(request.body).IsDyingHeartbeat === dying;

test('outside localdev, a host registers with the webserver, sends heartbeats, and reports that it stops', async () => {
  const service = await start().ready();
  await world.webserver.request(beat('False'));
  assert.equal(await service.stop(), 0);
  const [auth, first, last, ...more] = world.beats;
  assert.deepEqual(more, []);
  assert.deepEqual(
    [auth?.call, auth?.fields],
    [
      'auth',
      {
        InstanceID: METADATA['instance-id'],
        InstanceType: METADATA['instance-type'],
        Region: METADATA['placement/region'],
        AWSAmiID: METADATA['ami-id'],
      },
    ],
  );
  for (const [number, one] of [first, last].entries()) {
    const { Timestamp, TotalRAMinKB, FreeRAMinKB, AvailRAMinKB, AuthToken, ...rest } = one?.fields ?? {};
    assert.match(String(Timestamp), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+0000 UTC m=\+\d+\.\d{9}$/);
    for (const digits of [TotalRAMinKB, FreeRAMinKB, AvailRAMinKB]) assert.match(digits as string, /^\d+$/);
    assert.match(String(AuthToken), /^[0-9a-f]{32}$/);
    const IsDyingHeartbeat = number === 0 ? 'False' : 'True';
    assert.deepEqual(rest, {
      HeartbeatNumber: number,
      InstanceID: METADATA['instance-id'],
      IsDyingHeartbeat,
    });
  }
});

test('C28: a setting makes the service send a boolean to a webserver that needs one', async () => {
  const service = await start({ DYING_HEARTBEAT: 'boolean' }).ready();
  await world.webserver.request(beat(false));
  await service.stop();
  assert.equal(world.beats.at(-1)?.fields.IsDyingHeartbeat, true);
});

test('S20: metadata is requested with a session token only', async () => {
  await (await start().ready()).stop();
  const tokens = world.metadata.requests.filter(({ path }) => path === '/latest/api/token');
  for (const { method } of tokens) assert.equal(method, 'PUT');
  const items = world.metadata.requests.filter((request) => !tokens.includes(request));
  assert.equal(items.filter((item) => !isLook(item)).length, 6);
  for (const { headers } of items) assert.equal(headers['x-aws-ec2-metadata-token'], 'session-token==');
});

test('missing metadata does not affect anything else, and is requested again', async () => {
  world.metadata.fault = 'hangs';
  const service = await start(LOCALDEV).ready();
  await hostContainer(service);
  assert.deepEqual(world.beats, []);
  world.metadata.fault = undefined;
  await world.webserver.request(beat('False'));
  assert.equal(await service.stop(), 0);
  const { event } = world.events[0] ?? {};
  assert.match(String(event?.message), /cannot read EC2 metadata from http:\/\/169\.254\.169\.254/);
});

test('C24: a refused registration is reported and retried, and the host serves meanwhile', async () => {
  world.webserver.fault = '500';
  const service = await start().ready();
  await world.sentry.request(({ body }) => body.includes('did not accept the registration'));
  assert.equal((await service.get('/healthz')).status, 200);
  world.webserver.fault = undefined;
  await world.webserver.request(beat('False'));
  assert.equal(await service.stop(), 0);
});

for (const [fault, words] of [
  ['throw', 'thrown on purpose'],
  ['rejection', 'rejected on purpose'],
] as const) {
  test(`a ${fault} is reported before anything else is done: cause, stack, last log lines, and running containers`, async () => {
    const service = await start(LOCALDEV, fault).ready();
    const dockerId = await hostContainer(service);
    const id = await host.containerIdOf(dockerId);
    const port = await host.hostPort(dockerId);
    await startValues(service, port, { auth_secret: OWN_SECRET });
    await token(service, port);
    const unclaimed = await hostContainer(service);
    const other = { id: await host.containerIdOf(unclaimed), port: await host.hostPort(unclaimed) };
    await world.webserver.request(beat('False'));
    const killedAt = Date.now();
    assert.equal(await service.stop('SIGURG'), 1);

    const { at, event } = world.events[0] ?? assert.fail('no event arrived');
    assert.equal(world.events.length, 1);
    assert.deepEqual(
      [event.level, event.message, event.release, event.environment],
      ['fatal', words, 'c0ffee', 'localdev'],
    );
    const aws = Object.entries(event.tags).filter(([name]) => name.startsWith('aws.'));
    assert.deepEqual(Object.fromEntries(aws), AWS_TAGS);
    assert.equal(event.exception?.values[0]?.value, words);
    const frames = event.exception.values[0].stacktrace.frames;
    assert.ok(frames.some(({ filename, lineno }) => filename.endsWith('dying-service.ts') && lineno > 0));
    assert.ok(event.breadcrumbs.some(({ message }) => message === 'container is ready'));
    assert.deepEqual(event.extra.containers, [
      { container: id, docker: dockerId, port, state: 'ready' },
      { container: other.id, docker: unclaimed, port: other.port, state: 'running' },
    ]);

    assert.ok(
      world.lines.some(({ message, level }) => level === 'fatal' && message === words),
      'the log contains it too',
    );
    const dying = world.beats.at(-1) ?? assert.fail();
    assert.equal(dying.fields.IsDyingHeartbeat, 'True');
    const ending = service.lines.find(({ msg, to }) => msg === 'container is ending' && to === 'ending');
    const endedAt = Date.parse(String(ending?.time));
    for (const reported of [at, dying.at]) {
      assert.ok(reported <= endedAt, 'it was reported before the first container was ended');
      assert.ok(reported - killedAt < 2000, `it took ${reported - killedAt} ms to report it`);
    }
    await host.endLeft(service);
  });
}

test('C26: at a graceful stop, the last heartbeat follows the end of the last container, and the complete log arrives', async () => {
  const service = await start(LOCALDEV).ready();
  await hostContainer(service);
  await world.webserver.request(beat('False'));
  assert.equal(await service.stop(), 0);
  const gone = service.lines.find(({ msg }) => msg === 'container is gone');
  const dying = world.beats.at(-1);
  assert.equal(dying?.fields.IsDyingHeartbeat, 'True');
  assert.ok(dying.at >= Date.parse(String(gone?.time)));
  const shipped = world.lines;
  assert.equal(shipped.at(-1)?.message, 'ended');
  assert.equal(shipped.at(-1)?.['aws.instance-id'], METADATA['instance-id']);
  // From the first line after reporting was opened.
  const opened = service.lines.findIndex(({ step }) => step === 'reporting');
  assert.deepEqual(
    shipped.map(({ message }) => message),
    service.lines.slice(opened).map(({ msg }) => msg),
  );
});

test('in localdev, nothing is sent anywhere unless a setting says so', async () => {
  const { WEBSERVER_URL = '' } = world.settings;
  const silent = await host.start().ready();
  await silent.stop();
  const service = await host
    .start({ env: { ...world.settings, APP_ENV: 'localdev', USE_PROD_LOGGING: '0' } })
    .ready();
  assert.ok(WEBSERVER_URL);
  await world.webserver.request(beat('False'));
  await service.stop();
  assert.deepEqual([world.sentry.requests, world.logzIo.requests], [[], []]);
});

test('S13: a secret that appears in a line is hidden in every destination of the line', async () => {
  const service = await start().ready();
  await world.webserver.request(beat('False'));
  const { AuthToken } = world.beats[1]?.fields ?? {};
  for (const secret of [OWN_SECRET, LOGZIO_TOKEN, SENTRY_KEY, String(AuthToken)]) {
    assert.equal((await service.get(`/${encodeURIComponent(secret)}`)).status, 404);
  }
  await service.stop();
  const paths = (lines: readonly Record<string, unknown>[]) =>
    lines.filter(({ status }) => status === 404).map(({ path }) => path);
  assert.deepEqual(paths(service.lines), Array(4).fill('/[secret]'));
  assert.deepEqual(paths(world.lines), Array(4).fill('/[secret]'));
});

test('a crash before the host has identified itself is reported with the right host', async () => {
  const env = world.settings;
  const service = host.start({ env, entry: 'dying-service.ts', arguments: ['step-fails', 'https'] });
  assert.equal(await service.ended(), 1);
  assert.equal(world.events[0]?.event.tags['aws.instance-id'], METADATA['instance-id']);
});

test('an error during the shutdown is reported, and the exit code is 1', async () => {
  const service = await start(LOCALDEV, 'throws-while-ending').ready();
  // Without a registration there is no last heartbeat.
  await world.webserver.request(beat('False'));
  assert.equal(await service.stop(), 1);
  const messages = world.events.map(({ event }) => event.message);
  assert.deepEqual(messages, ['an uncaught error while the service ends']);
  assert.equal(world.beats.at(-1)?.fields.IsDyingHeartbeat, 'True');
});

test('a crash during the start ends it: a dying host does not register', async () => {
  await world.sentry.turn('hangs');
  const env = world.settings;
  const service = host.start({
    env,
    entry: 'dying-service.ts',
    arguments: ['rejects-in-step', 'containers'],
  });
  assert.equal(await service.ended(), 1);
  assert.deepEqual(world.beats, []);
  assert.ok(!service.lines.some(({ step }) => step === 'heartbeats'));
});

test('a crash while metadata does not answer is logged at once and reported in time', async () => {
  world.metadata.fault = 'hangs';
  const env = world.settings;
  const service = host.start({ env, entry: 'dying-service.ts', arguments: ['step-fails', 'lock'] });
  assert.equal(await service.ended(), 1);
  const [dying, fatal] = service.lines.filter(({ error }) => error);
  assert.match(String(dying?.msg), /^dying; asking EC2 which host/);
  assert.equal(fatal?.level, 'fatal');
  assert.equal(world.events.at(-1)?.event.level, 'fatal');
});
