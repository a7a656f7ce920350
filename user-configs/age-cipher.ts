/**
 * The two primitives that the header and the payload of an age file share.
 *
 * Source: https://age-encryption.org/v1; RFC 7539 (ChaCha20-Poly1305), RFC 5869 (HKDF).
 */

import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** In bytes: how much longer the sealed text is than the plain text. */
export const TAG = 16;

const KEY_BYTES = 32;

export function derive(secret: Buffer, salt: Buffer | string, info: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, salt, info, KEY_BYTES)));
}

/** @returns the encrypted bytes, and their tag of 16 bytes */
export function seal(key: KeyObject, nonce: Buffer, bytes: Buffer): [Buffer, Buffer] {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG });
  const sealed = cipher.update(bytes);
  cipher.final();
  return [sealed, cipher.getAuthTag()];
}

/** @returns undefined if the bytes were not sealed with this key and nonce */
export function open(key: KeyObject, nonce: Buffer, sealed: Buffer): Buffer | undefined {
  const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG });
  decipher.setAuthTag(sealed.subarray(-TAG));
  const bytes = decipher.update(sealed.subarray(0, -TAG));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return bytes;
}
