/**
 * The stamp of a save, inside its encryption. It contains the user and app, the name of the object, and the save that
 * it follows. So an object that was moved to another name, user or app is detected, and it is clear which of two saves
 * is newer. The stamp has a MAC whose key is derived from the token. That keeps others from forging stamps, even those
 * who know the public key, with which anybody can encrypt.
 *
 * It is a skippable zstd frame before the archive, so readers that do not know it skip it. Objects from before stamps
 * existed have none.
 *
 * Source: RFC 8878, section 3.1.2; docs/user-config-format.md.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Transform } from 'node:stream';
import type { Save } from './current.ts';
import { DamagedError } from './damaged.ts';

export interface Stamp extends Save {
  /** The prefix of all objects of its user and app. */
  readonly of: string;
  /** The name of its object below the prefix. */
  readonly name: string;
  /** The generation of the save that its session started with, plus one; the first is 1. */
  readonly generation: number;
  /** The save that its session started with; missing if there was none. */
  readonly follows?: Save;
  /** For changes: whether the object that they are relative to has a stamp. */
  readonly isBaseStamped?: boolean;
}

const MAGIC = 0x184d2a5e;
const HEAD_BYTES = 8;
const MAC_BYTES = 32;
const LONGEST = 8192;

/** @returns the bytes that precede the archive */
export function sealStamp(key: Buffer, stamp: Stamp): Buffer {
  const text = Buffer.from(JSON.stringify(stamp));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(MAC_BYTES + text.length, 4);
  return Buffer.concat([head, macOf(key, text), text]);
}

/**
 * Passes on a decrypted archive and checks its stamp. It fails with a {@link DamagedError} when the stamp is forged or
 * belongs to another object.
 * @param expected the user and app, and the name of the object
 * @param found called with the stamp, if there is one
 */
export function stampReader(
  key: Buffer,
  expected: Pick<Stamp, 'of' | 'name'>,
  found: (stamp: Stamp) => void,
): Transform {
  let isRead = false;
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      try {
        // The first piece is a complete age chunk, or everything there is.
        const stamp = isRead ? undefined : openStamp(key, expected, bytes);
        isRead = true;
        if (stamp) found(stamp);
        done(null, bytes);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}

function openStamp(key: Buffer, expected: Pick<Stamp, 'of' | 'name'>, bytes: Buffer): Stamp | undefined {
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== MAGIC) return undefined;
  const end = HEAD_BYTES + bytes.readUInt32LE(4);
  const content = bytes.subarray(HEAD_BYTES, end);
  const text = content.subarray(MAC_BYTES);
  if (end > LONGEST || end > bytes.length || text.length === 0)
    throw new DamagedError('its stamp is cut off');
  if (!timingSafeEqual(content.subarray(0, MAC_BYTES), macOf(key, text))) {
    throw new DamagedError('its stamp is forged: whoever made this object did not have the token');
  }
  const stamp: Stamp = JSON.parse(text.toString());
  if (stamp.of !== expected.of) throw new DamagedError('it is of another user or app');
  if (stamp.name !== expected.name) {
    throw new DamagedError(`${expected.name} is not the object that was stored under this name`);
  }
  return stamp;
}

function macOf(key: Buffer, text: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
