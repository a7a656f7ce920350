import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from '../../httpserver/gate.ts';

function opened(): Gate<string> {
  const gate = new Gate<string>();
  gate.open('behind');
  return gate;
}

/** Whether `promise` has settled after everything that was due has run. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('nothing passes before the gate is opened', async () => {
  const gate = new Gate<string>();
  assert.throws(() => gate.check(), { code: 'service.starting' });
  await assert.rejects(
    gate.pass(async () => assert.fail('the call passed the gate')),
    { code: 'service.starting' },
  );
});

test('the work gets the value behind the gate, and its result is returned', async () => {
  const gate = opened();
  assert.equal(gate.check(), 'behind');
  assert.equal(await gate.pass(async (behind) => `${behind} it`), 'behind it');
});

test('nothing passes after the gate is closed', async () => {
  const gate = opened();
  gate.close();
  assert.throws(() => gate.check(), { code: 'service.stopping' });
  await assert.rejects(
    gate.pass(async () => assert.fail('the call passed the gate')),
    { code: 'service.stopping' },
  );
});

test('the gate stays closed even if it is opened later', () => {
  const gate = new Gate<string>();
  gate.close();
  assert.throws(() => gate.check(), { code: 'service.stopping' });
  gate.open('behind');
  assert.throws(() => gate.check(), { code: 'service.stopping' });
});

test('an error of the work is passed on', async () => {
  const gate = opened();
  const error = new Error('failed');
  await assert.rejects(
    gate.pass(() => Promise.reject(error)),
    error,
  );
  await assert.rejects(
    gate.pass(() => {
      throw error;
    }),
    error,
  );
  await gate.idle();
});

test('the gate is idle if no request was ever made', async () => {
  await opened().idle();
});

test('the gate is not idle until every request in progress has ended', async () => {
  const gate = opened();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const requests = [gate.pass(() => first.promise), gate.pass(() => second.promise)];
  const idle = gate.idle();
  assert.equal(await hasSettled(idle), false);
  first.resolve();
  assert.equal(await hasSettled(idle), false);
  second.resolve();
  await idle;
  await Promise.all(requests);
});

test('a request that has passed completes after the gate is closed', async () => {
  const gate = opened();
  const work = Promise.withResolvers<string>();
  const request = gate.pass(() => work.promise);
  gate.close();
  const idle = gate.idle();
  assert.equal(await hasSettled(idle), false);
  work.resolve('done');
  assert.equal(await request, 'done');
  await idle;
});

test('a request that arrives during the wait is awaited too', async () => {
  const gate = opened();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  void gate.pass(() => first.promise);
  const idle = gate.idle();
  void gate.pass(() => second.promise);
  first.resolve();
  assert.equal(await hasSettled(idle), false);
  second.resolve();
  await idle;
});

test('a failed request does not prevent the gate from becoming idle', async () => {
  const gate = opened();
  const work = Promise.withResolvers<void>();
  const request = gate.pass(() => work.promise);
  const idle = gate.idle();
  work.reject(new Error('failed'));
  await assert.rejects(request, { message: 'failed' });
  await idle;
});
