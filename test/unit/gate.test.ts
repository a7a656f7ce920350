import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate } from '../../httpserver/gate.ts';

function opened(): Gate<string> {
  const gate = new Gate<string>();
  gate.open('behind');
  return gate;
}

/** Whether `promise` has settled once everything that was due has run. */
async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('nothing is let through before it is opened', async () => {
  const gate = new Gate<string>();
  assert.throws(() => gate.check(), { code: 'service.starting' });
  await assert.rejects(
    gate.pass(async () => assert.fail('let through')),
    { code: 'service.starting' },
  );
});

test('what is behind it is handed to the work, whose result comes back', async () => {
  const gate = opened();
  assert.equal(gate.check(), 'behind');
  assert.equal(await gate.pass(async (behind) => `${behind} it`), 'behind it');
});

test('nothing is let through after it was closed', async () => {
  const gate = opened();
  gate.close();
  assert.throws(() => gate.check(), { code: 'service.stopping' });
  await assert.rejects(
    gate.pass(async () => assert.fail('let through')),
    { code: 'service.stopping' },
  );
});

test('it stays closed, also when it is opened later', () => {
  const gate = new Gate<string>();
  gate.close();
  assert.throws(() => gate.check(), { code: 'service.stopping' });
  gate.open('behind');
  assert.throws(() => gate.check(), { code: 'service.stopping' });
});

test('what the work fails with comes back', async () => {
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

test('it is idle when no request was ever made', async () => {
  await opened().idle();
});

test('it is not idle until every request that is under way has ended', async () => {
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

test('a request that was let through is finished after the gate has closed', async () => {
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

test('a request that came while waiting is waited for, too', async () => {
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

test('a request that fails does not keep it from becoming idle', async () => {
  const gate = opened();
  const work = Promise.withResolvers<void>();
  const request = gate.pass(() => work.promise);
  const idle = gate.idle();
  work.reject(new Error('failed'));
  await assert.rejects(request, { message: 'failed' });
  await idle;
});
