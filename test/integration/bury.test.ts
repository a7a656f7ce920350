/** Deaths that the service cannot notice: what is reported, what is removed, and what keeps running. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { askTcp, host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { CLIENT_SECRET } from '../support/secrets.ts';
import { end, hostTwo, running, Site, until } from '../support/site.ts';
import { TestHost } from '../support/test-host.ts';
import { World } from '../support/world.ts';

let host: TestHost;
before(async () => {
  host = await TestHost.open();
});
after(() => host[Symbol.asyncDispose]());
afterEach(() => host.finish());

test('after SIGKILL, bury removes unclaimed containers, and a container in use keeps running until it ends', async () => {
  const site = new Site(host);
  const service = await site.start();
  const { claimed, port } = await hostTwo(host, service);
  await site.kill(service);
  const bury = await site.bury();
  const told = bury.lines.find(({ level }) => level === 'fatal');
  assert.equal(told?.msg, 'the service died: killed by SIGKILL');
  assert.match(JSON.stringify(told?.lastLines), /container is ready/);
  assert.deepEqual(await running(host), [claimed]);
  assert.equal((await askTcp(port)).dpi, '96');
  await site.waits();
  await end(host, claimed);
  await site.over();
});

test('a container that ended before bury and wait ran is still released', async () => {
  const site = new Site(host);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  await site.kill(service);
  await end(host, claimed);
  await site.bury();
  await site.over();
});

test('a starting service terminates a running wait process and adopts the containers in use', async () => {
  const site = new Site(host);
  const first = await site.start();
  const { claimed, port } = await hostTwo(host, first);
  await site.kill(first);
  await site.bury();
  await site.waits();
  const second = await site.start();
  assert.deepEqual(await running(host), [claimed]);
  assert.deepEqual(await startValues(second, port), OK);
  assert.equal((await startValues(second, port, { dpi: 97 })).status, 406);
  assert.deepEqual(await token(second, port), OK);
  assert.equal((await token(second, port, { client_app_auth_secret: 'another one' })).status, 406);
  const other = await host.hostPort(await hostContainer(second));
  assert.notEqual(other, port);
  assert.equal(await second.stop(), 0);
  assert.ok(!existsSync(site.runDirectory));
});

test('if bury did not run, the next service cleans up and adopts containers, and logs that the crash was not reported', async () => {
  const site = new Site(host);
  const first = await site.start();
  const { claimed } = await hostTwo(host, first);
  await site.kill(first);
  const second = await site.start();
  assert.ok(second.lines.some(({ level, msg }) => level === 'error' && msg.includes('was not reported')));
  assert.deepEqual(await running(host), [claimed]);
  await end(host, claimed);
  await second.message('container is gone');
  assert.equal(await second.stop(), 0);
});

test('a container that was claimed but not ready at the crash becomes ready under the next service', async () => {
  const site = new Site(host);
  const first = await site.start();
  const dockerId = await hostContainer(first);
  const port = await host.hostPort(dockerId);
  assert.deepEqual(await startValues(first, port), OK);
  await site.kill(first);
  const second = await site.start();
  assert.equal((await token(second, port, { client_app_auth_secret: 'another one' })).status, 406);
  assert.deepEqual(await token(second, port), OK);
  await until('its program is ready', async () => (await askTcp(port)).dpi === '96');
  assert.equal(await second.stop(), 0);
});

for (const [fault, words] of [
  ['throw', 'thrown on purpose'],
  ['rejection', 'rejected on purpose'],
] as const) {
  test(`after a ${fault} that the service did not catch, containers in use keep running, and the crash is reported once`, async () => {
    const site = new Site(host);
    const entry = 'dying-service.ts';
    const service = await host.start({ entry, arguments: [fault], env: { ROOT: site.root } }).ready();
    const { claimed } = await hostTwo(host, service);
    assert.equal(await service.stop('SIGURG'), 1);
    assert.equal(service.lines.find(({ level }) => level === 'fatal')?.msg, words);
    assert.deepEqual(await running(host), [claimed]);
    const bury = await site.bury({ SERVICE_RESULT: 'exit-code', EXIT_CODE: 'exited', EXIT_STATUS: '1' });
    assert.ok(!bury.lines.some(({ level }) => level === 'fatal'), bury.log());
    await site.waits();
    await end(host, claimed);
    await site.over();
  });
}

test('after a graceful stop, bury changes nothing and prints nothing', async () => {
  const site = new Site(host);
  const service = await site.start();
  await hostContainer(service);
  assert.equal(await service.stop(), 0);
  const bury = await site.bury();
  assert.deepEqual(bury.lines, []);
});

test('while a service runs, bury changes nothing', async () => {
  const site = new Site(host);
  const service = await site.start();
  const dockerId = await hostContainer(service);
  const bury = await site.bury();
  assert.deepEqual(
    bury.lines.map(({ msg }) => msg),
    ['another process hosts the containers of this host; there is nothing to clean up'],
  );
  assert.deepEqual(await running(host), [dockerId]);
  assert.equal(await service.stop(), 0);
});

test('bury does not touch another host, its directories, or directories that existed before', async () => {
  const site = new Site(host);
  const other = new Site(host);
  mkdirSync(join(site.root, 'fractal/keep'), { recursive: true });
  writeFileSync(join(site.root, 'fractal/keep/file'), '');
  const service = await site.start();
  const neighbour = await host
    .start({ env: { ROOT: other.root, LISTEN_PORT: '4679', RESERVED_PORTS: '4678' } })
    .ready();
  const theirs = await hostContainer(neighbour);
  await hostContainer(service);
  await site.kill(service);
  await site.bury();
  assert.deepEqual(await running(host), [theirs]);
  assert.deepEqual(readdirSync(join(site.root, 'fractal')), ['keep']);
  assert.equal(await neighbour.stop(), 0);
  rmSync(join(site.root, 'fractal'), { recursive: true });
});

test('bury reports a crash to the webserver and Sentry with its cause and the last lines of the log', async () => {
  const world = await World.open();
  try {
    const site = new Site(host, world.settings);
    const service = await site.start();
    await until('a heartbeat has arrived', () => world.beats.some(({ call }) => call === 'heartbeat'));
    await site.kill(service);
    await site.bury({ SERVICE_RESULT: 'core-dump', EXIT_CODE: 'dumped', EXIT_STATUS: 'SEGV' });
    const last = world.beats.at(-1);
    assert.equal(last?.fields.IsDyingHeartbeat, 'True');
    const [{ event }] = world.events as [(typeof world.events)[0]];
    assert.equal(event.level, 'fatal');
    assert.equal(event.message, 'the service died: killed by SIGSEGV: it used memory that was not its own');
    assert.equal(event.tags['aws.instance-id'], 'i-0123456789abcdef0');
    assert.match(JSON.stringify(event.extra.lastLines), /step done/);
    assert.equal(world.beats.filter(({ fields }) => fields.IsDyingHeartbeat === 'True').length, 1);
    assert.ok(!existsSync(site.runDirectory));
  } finally {
    await world.close();
  }
});

test('the secrets that the ledger keeps for a crash are nowhere else on the host', async () => {
  const site = new Site(host);
  const service = await site.start();
  const { claimed } = await hostTwo(host, service);
  const files = readdirSync(site.root, { recursive: true, withFileTypes: true }).filter((file) =>
    file.isFile(),
  );
  const withSecret = files
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((path) => readFileSync(path, 'utf8').includes(CLIENT_SECRET));
  const id = await host.containerIdOf(claimed);
  assert.deepEqual(withSecret, [join(site.runDirectory, 'ledger', id, 'facts.json')]);
  assert.equal(await service.stop(), 0);
});
