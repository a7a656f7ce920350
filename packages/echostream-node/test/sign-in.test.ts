import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Api } from '../src/api/api.ts';
import { cognitoClient } from '../src/api/cognito.ts';
import { AppCredentials } from '../src/api/credentials.ts';
import { GET_NODE } from '../src/api/queries.ts';
import { Refreshed } from '../src/api/refreshed.ts';
import { ServerTime } from '../src/api/server-time.ts';
import { SignIn } from '../src/api/sign-in.ts';
import type { Clock } from '../src/clock.ts';
import type { Identity } from '../src/options.ts';
import { PASSWORD, World } from './support/world.ts';

/** No pause is needed before a retry here. */
const hasty: Clock = { now: () => 0, sleep: async () => {} };

function connect(world: World, password = PASSWORD) {
  const time = new ServerTime();
  const identity = { ...world.options, password } as Identity;
  const signIn = new SignIn(cognitoClient('us-east-1_abc123', time), identity, time.now);
  const api = new Api(identity.appsyncEndpoint, signIn, hasty);
  const askNode = () => api.query(GET_NODE, { name: 'my node', tenant: 'tenant' });
  return { signIn, api, askNode };
}

test('a token is cached while it is valid, and concurrent requests share one sign-in', async () => {
  await using world = await World.start();
  const { signIn } = connect(world);
  const [one, two] = await Promise.all([signIn.accessToken(), signIn.accessToken()]);
  assert.equal(one, two);
  assert.equal(await signIn.accessToken(), one);
  assert.equal(world.cognito.signIns, 1);
});

test('an expiring token is renewed without the password', async () => {
  await using world = await World.start();
  world.cognito.expiresIn = 1;
  const { signIn } = connect(world);
  const one = await signIn.accessToken();
  assert.notEqual(await signIn.accessToken(), one);
  assert.deepEqual([world.cognito.signIns, world.cognito.renewals], [1, 1]);
});

test('when the refresh token expires after 30 days, the node signs in again', async () => {
  await using world = await World.start();
  world.cognito.expiresIn = 1;
  const { signIn } = connect(world);
  await signIn.accessToken();
  world.cognito.refreshTokens.clear();
  await signIn.accessToken();
  assert.deepEqual([world.cognito.signIns, world.cognito.renewals], [2, 0]);
});

test('a host whose clock is wrong by an hour can sign in', async () => {
  await using world = await World.start();
  world.cognito.ahead = -3_600_000;
  await connect(world).signIn.accessToken();
  assert.equal(world.cognito.signIns, 1);
});

test('the error for a wrong password says what to check, and does not show the password', async () => {
  await using world = await World.start();
  const wrong = 'a wrong password of the tests';
  await assert.rejects(connect(world, wrong).signIn.accessToken(), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'SIGN_IN_FAILED');
    assert.match(error.message, /Incorrect username or password\.\. Check username, password/);
    assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes(wrong));
    return true;
  });
});

test('a token that the API refuses before it expires is replaced', async () => {
  await using world = await World.start();
  const { askNode } = connect(world);
  await askNode();
  world.cognito.tokens.clear();
  assert.equal((await askNode()).app.name, 'app');
});

test('an API call is retried after a temporary failure, but not after an error that names the problem', async () => {
  await using world = await World.start();
  const { askNode, api } = connect(world);
  world.failures.api.push(500, 429, 503);
  assert.equal((await askNode()).app.name, 'app');
  world.failures.api.push(500, 500, 500, 500, 500);
  await assert.rejects(askNode(), { code: 'API_FAILED', message: /status 500/ });
  world.failures.api.push(400);
  await assert.rejects(askNode(), { code: 'API_FAILED', message: /status 400/ });
  await assert.rejects(api.query(GET_NODE, { name: 'unknown' }), { code: 'NODE_NOT_FOUND' });
});

test('an API call can be aborted', async () => {
  await using world = await World.start();
  const { api } = connect(world);
  await assert.rejects(api.query(GET_NODE, {}, AbortSignal.abort(new Error('stop'))), /stop/);
});

test("the app's credentials are cached for most of their hour, and fetched again when AWS refuses them", async () => {
  await using world = await World.start();
  const { api } = connect(world);
  const credentials = new AppCredentials(api, { name: 'app', tenant: 'tenant', type: 'ExternalApp' });
  assert.equal((await credentials.provide()).accessKeyId, 'key-1');
  assert.equal((await credentials.provide()).accessKeyId, 'key-1');
  credentials.forget('key-1');
  const { accessKeyId, expiration } = await credentials.provide();
  assert.equal(accessKeyId, 'key-2');
  // AWS's clients ask again five minutes before the end.
  assert.ok(expiration.getTime() - Date.now() <= 301_000);
});

test("a late refusal of the app's earlier credentials does not affect the current ones", async () => {
  await using world = await World.start();
  const { api } = connect(world);
  const credentials = new AppCredentials(api, { name: 'app', tenant: 'tenant', type: 'ExternalApp' });
  await credentials.provide();
  credentials.forget('key-1');
  assert.equal((await credentials.provide()).accessKeyId, 'key-2');
  credentials.forget('key-1');
  assert.equal((await credentials.provide()).accessKeyId, 'key-2');
});

test('an expired value is fetched again, and a failure is not cached', async () => {
  let now = 0;
  let fetched = 0;
  const refreshed = new Refreshed(
    async () => {
      fetched += 1;
      if (fetched === 2) throw new Error('once');
      return { value: fetched, milliseconds: 100 };
    },
    () => now,
  );
  assert.equal(await refreshed.value(), 1);
  now = 99;
  assert.equal(await refreshed.value(), 1);
  now = 100;
  await assert.rejects(refreshed.value(), /once/);
  assert.equal(await refreshed.value(), 3);
});
