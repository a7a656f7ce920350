/** The codec of the data channel's messages, compared with bytes from the agent's own tests, and with itself. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AgentMessage,
  decodeMessage,
  encodeMessage,
  MalformedMessageError,
} from '../../src/session/agent-message.ts';

const message: AgentMessage = {
  type: 'input_stream_data',
  createdAt: 1_503_434_274_948,
  sequence: 2,
  flags: 1,
  id: 'dd01e56b-ff48-483e-a508-b5f073f31b16',
  payloadType: 1,
  payload: Buffer.from('payload'),
};

const messages = fc.record(
  {
    type: fc.stringMatching(/^[a-z_]{1,32}$/),
    createdAt: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    flags: fc.nat({ max: 3 }),
    id: fc.uuid(),
    payloadType: fc.nat({ max: 2 ** 32 - 1 }),
    payload: fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
  },
  { noNullPrototype: true },
);

test('a message has the fields that the agent reads, at the offsets where it reads them', () => {
  const bytes = encodeMessage(message);
  assert.equal(bytes.readUInt32BE(0), 116);
  assert.equal(bytes.toString('latin1', 4, 36), `input_stream_data${' '.repeat(15)}`);
  assert.equal(bytes.readUInt32BE(36), 1);
  assert.equal(bytes.readBigUInt64BE(40), 1_503_434_274_948n);
  assert.equal(bytes.readBigInt64BE(48), 2n);
  assert.equal(bytes.readBigUInt64BE(56), 1n);
  assert.equal(bytes.toString('hex', 64, 80), 'a508b5f073f31b16dd01e56bff48483e');
  assert.deepEqual(bytes.subarray(80, 112), createHash('sha256').update('payload').digest());
  assert.equal(bytes.readUInt32BE(112), 1);
  assert.equal(bytes.readUInt32BE(116), 7);
  assert.equal(bytes.toString('latin1', 120), 'payload');
});

test('an encoded message decodes to the same message', () => {
  fc.assert(fc.property(messages, (one) => assert.deepEqual(decodeMessage(encodeMessage(one)), one)));
});

test('a message type can be padded with NULs or with spaces', () => {
  const bytes = encodeMessage(message);
  bytes.fill(0, 4 + message.type.length, 36);
  assert.equal(decodeMessage(bytes).type, message.type);
});

test('a message that is truncated, or whose payload was changed, is refused', () => {
  fc.assert(
    fc.property(messages, fc.nat(), (one, place) => {
      const bytes = encodeMessage(one);
      assert.throws(() => decodeMessage(bytes.subarray(0, place % bytes.length)), MalformedMessageError);
      if (one.payload.length === 0) return;
      const changed = Buffer.from(bytes);
      const at = 120 + (place % one.payload.length);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      assert.throws(() => decodeMessage(changed), /digest/);
    }),
  );
});

test('arbitrary bytes are either decoded or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        decodeMessage(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof MalformedMessageError);
      }
    }),
  );
});
