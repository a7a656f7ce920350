/**
 * What a save says of itself, inside its encryption: whose it is, its name, and which save it follows. So an object that
 * was put under another name, or in the place of another user's or app's, is not taken for what it is not, and it can be
 * told which of two saves is the newer one. A MAC whose key is derived from the token keeps others from making a
 * stamp, also those who know the public key, with which anybody can encrypt.
 *
 * It is a skippable frame of zstd before the archive, so that readers that know nothing of it skip it. What was stored
 * before there were stamps has none.
 *
 * Source: RFC 8878, section 3.1.2; docs/user-config-format.md.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Transform } from 'node:stream';
import type { Save } from './current.ts';
import { DamagedError } from './damaged.ts';

export interface Stamp extends Save {
  /** Below which all objects of its user and app are. */
  readonly of: string;
  /** Of its object, below that. */
  readonly name: string;
  /** One more than that of the save which its session began with; the first one is 1. */
  readonly generation: number;
  /** The save that its session began with; left out: there was none. */
  readonly follows?: Save;
  /** Of changes: whether what they are relative to has a stamp. */
  readonly isBaseStamped?: boolean;
}

const MAGIC = 0x184d2a5e;
const HEAD_BYTES = 8;
const MAC_BYTES = 32;
const LONGEST = 8192;

/** @returns what comes before the archive */
export function sealStamp(key: Buffer, stamp: Stamp): Buffer {
  const text = Buffer.from(JSON.stringify(stamp));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt32LE(MAC_BYTES + text.length, 4);
  return Buffer.concat([head, macOf(key, text), text]);
}

/**
 * Passes on a decrypted archive, and looks at its stamp. It fails with a {@link DamagedError} when that is forged, or that of
 * another object.
 * @param expected whose the object is, and its name
 * @param found is told of the stamp, if there is one
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
        // The first piece is a whole chunk of age, or all that there is.
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
