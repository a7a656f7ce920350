import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '../../errors/service-error.ts';
import { Idempotency } from '../../httpserver/v1/idempotency.ts';

/** One more than the number of remembered requests. */
const MANY = 1001;

test('a request in progress is never repeated, however many others arrive meanwhile', async () => {
  const requests = new Idempotency<number>();
  const first = Promise.withResolvers<number>();
  const made = requests.once('first', {}, () => first.promise);
  for (let i = 0; i < MANY; i++) await requests.once(`${i}`, {}, async () => i);
  const again = requests.once('first', {}, () => assert.fail('it was made a second time'));
  await assert.rejects(
    requests.once('first', { another: 1 }, async () => 0),
    (error: ServiceError) => error.code === 'create.other_request',
  );
  first.resolve(7);
  assert.deepEqual(await Promise.all([made, again]), [7, 7]);
  assert.equal(await requests.once('first', {}, async () => 8), 7);
});

test('the last thousand successful requests are remembered, and neither earlier nor failed ones', async () => {
  const requests = new Idempotency<string>();
  await assert.rejects(
    requests.once('failed', {}, () => Promise.reject(new ServiceError('request.not_found', {}))),
  );
  for (let i = 0; i < MANY; i++) await requests.once(`${i}`, {}, async () => 'first');
  const second = (key: string) => requests.once(key, {}, async () => 'second');
  assert.deepEqual(await Promise.all(['1', '1000', 'failed', '0'].map(second)), [
    'first',
    'first',
    'second',
    'second',
  ]);
});
