import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeConfig } from '../src/config.ts';
import { Message } from '../src/message.ts';

const messageType = { name: 'text' };

test('a message has a random tracking id unless the sender sets one', () => {
  const [one, two] = [new Message({ body: 'x', messageType }), new Message({ body: 'x', messageType })];
  assert.match(one.trackingId, /^[0-9a-f]{32}$/);
  assert.notEqual(one.trackingId, two.trackingId);
  assert.equal(new Message({ body: 'x', messageType, trackingId: 'mine' }).trackingId, 'mine');
});

test('previous tracking ids are sent as a compact JSON list, and only if there are any', () => {
  const split = new Message({ body: 'x', messageType, trackingId: 'c', previousTrackingIds: ['a', 'b'] });
  assert.deepEqual(split.attributes, { trackingId: 'c', prevTrackingIds: '["a","b"]' });
  const first = new Message({ body: 'x', messageType, trackingId: 'c', previousTrackingIds: [] });
  assert.deepEqual(first.attributes, { trackingId: 'c' });
  assert.equal(first.previousTrackingIds, undefined);
});

test('a received message equals the sent one', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      fc.string({ minLength: 1 }),
      fc.array(fc.string(), { minLength: 1 }),
      (body, trackingId, previousTrackingIds) => {
        const sent = new Message({ body, messageType, trackingId, previousTrackingIds, groupId: 'g' });
        const received = Message.received(sent.body, sent.attributes, messageType, 'g');
        assert.deepEqual(received, sent);
      },
    ),
  );
});

test('a message with missing or invalid attributes is still a message', () => {
  const bare = Message.received('x', {}, messageType);
  assert.match(bare.trackingId, /^[0-9a-f]{32}$/);
  for (const prevTrackingIds of ['no json', '{}', 'null']) {
    assert.equal(Message.received('x', { prevTrackingIds }, messageType).previousTrackingIds, undefined);
  }
});

test('the length is in bytes of UTF-8, and includes the names, types and values of attributes', () => {
  const message = new Message({ body: 'äö€😀', messageType, trackingId: 'ü' });
  assert.equal(message.byteLength, 2 + 2 + 3 + 4 + 'trackingId'.length + 'String'.length + 2);
});

test('a message that is too large for SQS is refused with its size and what to do', () => {
  const make = (length: number): Message =>
    new Message({ body: '€'.repeat(length), messageType, trackingId: 'x' });
  assert.doesNotThrow(() => make(349_519));
  assert.throws(() => make(349_520), {
    code: 'MESSAGE_TOO_LARGE',
    message: /has 1048577 bytes.*handleBulkData/,
  });
});

test('an empty body is refused', () => {
  for (const body of ['', undefined]) {
    assert.throws(() => new Message({ body: body as string, messageType }), { code: 'MESSAGE_INVALID' });
  }
});

test('a message cannot be changed', () => {
  const message = new Message({ body: 'x', messageType, previousTrackingIds: ['a'] });
  assert.throws(() => Object.assign(message, { body: 'y' }), TypeError);
  assert.throws(() => (message.previousTrackingIds as string[]).push('b'), TypeError);
});

test("the node's configuration overrides the app's, and the app's overrides the tenant's", () => {
  const config = mergeConfig({
    tenant: '{"a":1,"b":1,"c":{"x":1}}',
    app: '{"b":2,"c":{"y":2}}',
    node: '{"d":3}',
  });
  assert.deepEqual(config, { a: 1, b: 2, c: { y: 2 }, d: 3 });
  assert.deepEqual(mergeConfig({ tenant: null, app: '', node: undefined }), {});
});

test('a configuration that is not a JSON object is refused, and the error shows nothing of it', () => {
  for (const app of ['secret', '[]', '"secret"', '7', '{"secret":']) {
    assert.throws(
      () => mergeConfig({ app }),
      (error: Error & { code?: string }) =>
        error.code === 'CONFIG_INVALID' &&
        /config of the app is not/.test(error.message) &&
        !/secret/.test(`${error.stack}`),
    );
  }
});
