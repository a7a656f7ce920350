/**
 * The binary messages of Systems Manager's data channel. Numbers are big-endian, and the halves of the message's UUID are
 * swapped: the least significant half comes first.
 *
 *   offset  bytes  field                      offset  bytes  field
 *        0      4  header length (116)            64     16  message id
 *        4     32  message type, padded           80     32  SHA-256 of the payload
 *       36      4  schema version                112      4  payload type
 *       40      8  milliseconds since 1970       116      4  payload length
 *       48      8  sequence number               120      …  payload
 *       56      8  flags
 *
 * Source: aws/amazon-ssm-agent, agent/session/contracts/agentmessage.go.
 */

import { createHash } from 'node:crypto';

export interface AgentMessage {
  readonly type: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly sequence: number;
  /** Bit 0 marks the first message of a stream, bit 1 the last one. */
  readonly flags: number;
  /** A UUID in its usual form. */
  readonly id: string;
  readonly payloadType: number;
  readonly payload: Uint8Array;
}

/** The received bytes are not a message of the data channel. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

const HEADER = 116;
const TYPE = { at: 4, bytes: 32 };
const SCHEMA = 36;
const CREATED = 40;
const SEQUENCE = 48;
const FLAGS = 56;
const ID = 64;
const DIGEST = { at: 80, bytes: 32 };
const PAYLOAD_TYPE = 112;
const SCHEMA_VERSION = 1;

export function encodeMessage(message: AgentMessage): Buffer {
  const { type, payload } = message;
  if (Buffer.byteLength(type) > TYPE.bytes) throw new RangeError(`a message type is too long: ${type}`);
  const bytes = Buffer.alloc(HEADER + 4 + payload.length);
  bytes.writeUInt32BE(HEADER, 0);
  bytes.fill(' ', TYPE.at, TYPE.at + TYPE.bytes);
  bytes.write(type, TYPE.at);
  bytes.writeUInt32BE(SCHEMA_VERSION, SCHEMA);
  bytes.writeBigUInt64BE(BigInt(message.createdAt), CREATED);
  bytes.writeBigInt64BE(BigInt(message.sequence), SEQUENCE);
  bytes.writeBigUInt64BE(BigInt(message.flags), FLAGS);
  const id = Buffer.from(message.id.replaceAll('-', ''), 'hex');
  if (id.length !== 16) throw new RangeError(`a message id is not a UUID: ${message.id}`);
  id.copy(bytes, ID, 8, 16);
  id.copy(bytes, ID + 8, 0, 8);
  digestOf(payload).copy(bytes, DIGEST.at);
  bytes.writeUInt32BE(message.payloadType, PAYLOAD_TYPE);
  bytes.writeUInt32BE(payload.length, HEADER);
  bytes.set(payload, HEADER + 4);
  return bytes;
}

/** @throws MalformedMessageError when the bytes are truncated, or the payload does not match its digest */
export function decodeMessage(bytes: Buffer): AgentMessage {
  if (bytes.length < HEADER + 4) throw new MalformedMessageError(`a message has only ${bytes.length} bytes`);
  const header = bytes.readUInt32BE(0);
  if (header < HEADER || header > bytes.length - 4)
    throw new MalformedMessageError(`a message has a header of ${header} bytes`);
  const length = bytes.readUInt32BE(header);
  const payload = bytes.subarray(header + 4, header + 4 + length);
  if (payload.length !== length)
    throw new MalformedMessageError(`a payload of ${length} bytes is truncated after ${payload.length}`);
  const digest = bytes.subarray(DIGEST.at, DIGEST.at + DIGEST.bytes);
  if (length > 0 && !digest.equals(digestOf(payload)))
    throw new MalformedMessageError('a payload does not match the digest in its header');
  return {
    type: bytes.toString('utf8', TYPE.at, TYPE.at + TYPE.bytes).replace(/^[\0\s]+|[\0\s]+$/g, ''),
    createdAt: Number(bytes.readBigUInt64BE(CREATED)),
    sequence: Number(bytes.readBigInt64BE(SEQUENCE)),
    flags: Number(bytes.readBigUInt64BE(FLAGS)),
    id: readUuid(bytes),
    payloadType: bytes.readUInt32BE(PAYLOAD_TYPE),
    payload,
  };
}

function readUuid(bytes: Buffer): string {
  const hex = bytes.toString('hex', ID + 8, ID + 16) + bytes.toString('hex', ID, ID + 8);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function digestOf(payload: Uint8Array): Buffer {
  return createHash('sha256').update(payload).digest();
}
