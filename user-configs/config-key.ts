/**
 * The keys of a user's configs. They are derived from the token that the client app sends, so that no key is stored.
 * They are a pair, so that saving needs only the public half, which decrypts nothing. Both halves are raw X25519 keys
 * of 32 bytes, as in age; node:crypto needs them in DER.
 *
 * Source: RFC 5869 (HKDF), RFC 7748 (X25519), RFC 8410 (the DER form of X25519 keys); docs/user-config-format.md.
 */

import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';

const INFO = 'ecs-host-service user config v1';
const STAMP_INFO = 'ecs-host-service user config v1 stamp';
const KEY_BYTES = 32;

/** The DER prefix of a raw X25519 key. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

/**
 * @param token opaque; its UTF-8 bytes are used
 * @returns the private half: an X25519 scalar of 32 bytes
 * @throws {RangeError} when the token is empty
 */
export function deriveIdentity(token: string): Buffer {
  if (token === '') throw new RangeError('an empty token protects nothing');
  return Buffer.from(hkdfSync('sha256', token, '', INFO, KEY_BYTES));
}

/** @returns the key for the stamps of saves; it decrypts none of them @throws {RangeError} when the token is empty */
export function deriveStampKey(token: string): Buffer {
  if (token === '') throw new RangeError('an empty token protects nothing');
  return Buffer.from(hkdfSync('sha256', token, '', STAMP_INFO, KEY_BYTES));
}

/**
 * @returns the public half, 32 bytes, which can encrypt saves but not decrypt them
 * @throws {RangeError} unless `identity` has 32 bytes
 */
export function recipientOf(identity: Buffer): Buffer {
  return rawPublicKey(createPublicKey(privateKey(identity)));
}

/** @throws {RangeError} unless `identity` has 32 bytes */
export function privateKey(identity: Buffer): KeyObject {
  return createPrivateKey({ key: wrap(PRIVATE_PREFIX, identity), format: 'der', type: 'pkcs8' });
}

/** @throws {RangeError} unless `recipient` has 32 bytes */
export function publicKey(recipient: Buffer): KeyObject {
  return createPublicKey({ key: wrap(PUBLIC_PREFIX, recipient), format: 'der', type: 'spki' });
}

export function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
}

function wrap(prefix: Buffer, raw: Buffer): Buffer {
  if (raw.length !== KEY_BYTES)
    throw new RangeError(`an X25519 key has ${KEY_BYTES} bytes, not ${raw.length}`);
  return Buffer.concat([prefix, raw]);
}
