/** The credentials with which a node calls AWS, and what it keeps secret. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { Api } from '../src/api/api.ts';
import { AppCredentials } from '../src/api/credentials.ts';
import { systemClock } from '../src/clock.ts';
import { signatureOf } from './support/signature.ts';
import { TestNode } from './support/test-node.ts';
import { eventually, PASSWORD, World } from './support/world.ts';

const HOUR = 3_600_000;

function ownCredentials(t: TestContext): void {
  const own = { AWS_ACCESS_KEY_ID: 'own-key', AWS_SECRET_ACCESS_KEY: 'own-secret' };
  Object.assign(process.env, own);
  t.after(() => {
    for (const name of Object.keys(own)) delete process.env[name];
  });
}

test('a node of a cross-account app uses the credentials of its own account', async (t) => {
  ownCredentials(t);
  await using world = await World.start();
  world.node = { ...world.node, app: { ...world.node.app, __typename: 'CrossAccountApp' } };
  const [incoming, outgoing] = [world.queue('in'), world.queue('out')];
  incoming.put('g', 'one');
  const node = new TestNode(world.options, async ({ message }, self) => {
    await self.sendMessage(self.createMessage(message.body));
    await self.auditMessage(message);
  });
  await node.start();
  await eventually(() => incoming.messages.length === 0);
  await node.stop();
  assert.equal(outgoing.messages.length, 1);
  assert.deepEqual([...world.keys], ['own-key']);
  assert.match(String(world.audits[0]?.headers.authorization), /Credential=own-key\//);
  assert.equal(world.credentials, 0);
});

test('a node whose credentials SQS refuses continues with new ones', async (t) => {
  ownCredentials(t);
  await using world = await World.start();
  const incoming = world.queue('in');
  const node = new TestNode(world.options);
  await node.start();
  await eventually(() => world.keys.has('key-1'));
  world.expiredKeys.add('key-1');
  incoming.put('g', 'one');
  await eventually(() => incoming.messages.length === 0);
  await node.stop();
  assert.deepEqual(node.handled, ['one']);
  assert.ok(world.keys.has('key-2'));
});

test("the app's credentials are fetched again ten minutes before they expire", async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  await using world = await World.start();
  const tokens = { accessToken: async () => 'token', forget: () => {} };
  world.cognito.tokens.add('token');
  const api = new Api(world.options.appsyncEndpoint as string, tokens, systemClock);
  const { provide } = new AppCredentials(api, { name: 'app', tenant: 'tenant', type: 'ManagedApp' });
  const keys: string[] = [];
  for (const passed of [0, HOUR * (5 / 6) - 1000, 1000]) {
    t.mock.timers.tick(passed);
    keys.push((await provide()).accessKeyId);
  }
  assert.deepEqual(keys, ['key-1', 'key-1', 'key-2']);
});

test('a delivery of audit records has the signature that AWS computes, also where the clock is wrong', async () => {
  await using world = await World.start();
  const node = new TestNode(world.options);
  await node.start();
  world.failures.audit.push(403);
  world.cognito.ahead = HOUR;
  await node.auditMessage(node.createMessage('ü'));
  await node.stop();
  const [audit] = world.audits;
  assert.ok(audit);
  const { path, headers, body } = audit;
  const { sent, right } = signatureOf(path, headers, body, 'secret');
  assert.equal(sent, right);
  const [, day, hour] = /^(\d{8})T(\d{2})/.exec(String(headers['x-amz-date'])) ?? [];
  const expected = new Date(Date.now() + HOUR).toISOString();
  assert.equal(`${day}${hour}`, expected.slice(0, 13).replaceAll(/[-T]/g, ''));
});

test('whatever fails, no secret is in the log or in an error', async () => {
  await using world = await World.start();
  const logged: unknown[] = [];
  const log = (...words: unknown[]): void => void logged.push(words);
  const logger = { debug: log, info: log, warn: log, error: log };
  world.failures.cognito.push(400);
  await using unlucky = new TestNode({ ...world.options, logger });
  await unlucky.start().catch(log);
  const node = new TestNode({ ...world.options, logger }, async ({ receiveCount }, self) => {
    if (receiveCount === 1) throw new Error('once');
    await self.auditMessage(self.createMessage('x'));
  });
  const incoming = world.queue('in');
  incoming.put('g', 'one');
  await node.start();
  world.failures.sqs.push(500, 403, 500, 403, 500, 403);
  world.failures.audit.push(500, 403);
  world.failures.upload.push(403, 403, 403, 403);
  await node.handleBulkData('x').catch(log);
  await node.sendMessage(node.createMessage('x')).catch(log);
  await eventually(() => incoming.messages.length === 0);
  await node.stop();
  assert.ok(logged.length >= 6, `${logged.length} lines`);
  const text = inspect(logged, { depth: 12, maxArrayLength: null, maxStringLength: null });
  for (const secret of [PASSWORD, ...world.cognito.tokens, ...world.cognito.refreshTokens]) {
    assert.ok(!text.includes(secret), secret);
  }
  // The key's secret and its session.
  assert.doesNotMatch(text, /'secret'|'session'|secretAccessKey|sessionToken/);
});
