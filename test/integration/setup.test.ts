import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { askTcp, host as hostContainer, OK, startValues, token } from '../support/callers.ts';
import { CLIENT_SECRET, SECRET, TOKEN } from '../support/secrets.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { TestHost } from '../support/test-host.ts';

let host: TestHost;
let service: ServiceProcess;
let root: string;
before(async () => {
  host = await TestHost.open();
  root = host.newRoot();
  service = await host.start({ env: { ROOT: root } }).ready();
});
after(async () => {
  const exitCode = await service.stop();
  assert.equal(exitCode, 0);
  await host.finish();
  await host[Symbol.asyncDispose]();
});

/** A new container: its identifying host port, and access to its mappings. */
async function newContainer() {
  const dockerId = await hostContainer(service);
  const port = await host.hostPort(dockerId);
  const mappings = join(root, 'fractal', await host.containerIdOf(dockerId), 'containerResourceMappings');
  return { port, mappings, isReady: () => existsSync(join(mappings, '.ready')) };
}

test('start values and then the token make a container ready before the token is answered', async () => {
  const { port, isReady } = await newContainer();
  assert.deepEqual(await startValues(service, port), OK);
  assert.equal(isReady(), false);
  assert.deepEqual(await token(service, port), OK);
  assert.equal(isReady(), true);
});

test('a token that arrives first is kept, and the start values then make the container ready', async () => {
  const { port, isReady } = await newContainer();
  assert.deepEqual(await token(service, port), OK);
  assert.equal(isReady(), false);
  assert.deepEqual(await startValues(service, port), OK);
  await askTcp(port);
  assert.equal(isReady(), true);
});

test('S1: a wrong token that arrives first does not block the right one', async () => {
  const { port, isReady } = await newContainer();
  assert.deepEqual(await token(service, port, { client_app_auth_secret: 'wrong' }), OK);
  assert.deepEqual(await startValues(service, port), OK);
  assert.equal(isReady(), false);
  assert.deepEqual(await token(service, port), OK);
  assert.equal(isReady(), true);
});

test('identical start values again have no effect, and different ones are refused, before and after readiness', async () => {
  const { port, mappings } = await newContainer();
  assert.deepEqual(await startValues(service, port), OK);
  const others = [
    { dpi: 97 },
    { user_id: 'other' },
    { container_ARN: 'other' },
    { client_app_auth_secret: 'other' },
  ];
  for (let round = 0; round < 2; round++) {
    const before = readdirSync(mappings);
    assert.deepEqual(await startValues(service, port), OK);
    for (const other of others) {
      const { status, body } = await startValues(service, port, other);
      assert.equal(status, 406);
      assert.match(body, /already assigned with other start values/);
    }
    assert.deepEqual(readdirSync(mappings), before);
    assert.deepEqual(await token(service, port), OK);
  }
});

test('S5: a token that does not match is refused, and the container keeps waiting for the right one', async () => {
  const { port, isReady } = await newContainer();
  await startValues(service, port);
  for (let attempt = 0; attempt < 5; attempt++) {
    const { status, body } = await token(service, port, { client_app_auth_secret: `guess ${attempt}` });
    assert.equal(status, 406);
    assert.match(body, /the container still waits, so send the right values/);
  }
  assert.equal(isReady(), false);
  assert.deepEqual(await token(service, port), OK);
  assert.equal(isReady(), true);
});

test('S3: a token of another user is refused', async () => {
  const { port, isReady } = await newContainer();
  await startValues(service, port);
  assert.equal((await token(service, port, { user_id: 'somebody-else' })).status, 406);
  assert.equal(isReady(), false);
});

test('S2: once a container is ready, another token changes nothing, and a wrong one is refused', async () => {
  const { port, mappings } = await newContainer();
  await startValues(service, port);
  await token(service, port);
  const before = readdirSync(mappings);
  assert.deepEqual(await token(service, port, { config_encryption_token: 'another' }), OK);
  assert.equal((await token(service, port, { client_app_auth_secret: 'wrong' })).status, 406);
  assert.deepEqual(readdirSync(mappings), before);
});

test('C8: simultaneous set-up calls make a container ready once', async () => {
  const { port } = await newContainer();
  const from = service.lines.length;
  const calls = Array.from({ length: 8 }, (_, i) =>
    i % 2 ? token(service, port) : startValues(service, port),
  );
  for (const reply of await Promise.all(calls)) assert.deepEqual(reply, OK);
  await askTcp(port);
  for (const state of ['assigned', 'ready']) {
    const times = service.lines.slice(from).filter(({ msg }) => msg === `container is ${state}`).length;
    assert.equal(times, 1, state);
  }
});

test('C8: an empty client secret is refused, because it would let anybody in', async () => {
  const { port } = await newContainer();
  const { status, body } = await startValues(service, port, { client_app_auth_secret: '' });
  assert.equal(status, 406);
  assert.match(body, /client_app_auth_secret is empty/);
  assert.deepEqual(await startValues(service, port), OK);
});

test('an empty token is refused, and an empty user is allowed', async () => {
  const { port, isReady } = await newContainer();
  await startValues(service, port, { user_id: '' });
  assert.match(
    (await token(service, port, { user_id: '', config_encryption_token: '' })).body,
    /at least one byte/,
  );
  assert.equal(isReady(), false);
  assert.deepEqual(await token(service, port, { user_id: null, config_encryption_token: 'x' }), OK);
  assert.equal(isReady(), true);
});

test('S1, S5: an address that guesses a hundred times is told so, and the right token from it is still accepted', async () => {
  const { port, isReady } = await newContainer();
  await startValues(service, port);
  const guesses = Array.from({ length: 100 }, (_, i) =>
    token(service, port, { client_app_auth_secret: `guess ${i}` }),
  );
  const replies = await Promise.all(guesses);
  assert.ok(replies.every(({ status }) => status === 406));
  assert.ok(replies.some(({ body }) => body.includes('too many wrong attempts came from this address')));
  assert.deepEqual(await token(service, port), OK);
  assert.equal(isReady(), true);
});

test('S13: no secret and no token appears in the log', () => {
  for (const secret of [SECRET, CLIENT_SECRET, TOKEN]) assert.ok(!service.log().includes(secret), secret);
});
