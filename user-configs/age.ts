/**
 * The age v1 file format, as far as user configs need it: one X25519 recipient, binary files. Other programs can read
 * the format, so a config can be recovered without this service. Unlike the predecessor's format, it detects changes.
 * It is implemented here, and not taken from a library, so that it streams at the speed of the cipher.
 *
 * Source: https://age-encryption.org/v1 (C2SP). The names are those of the specification.
 */

import { type KeyObject, randomBytes } from 'node:crypto';
import { Transform } from 'node:stream';
import { derive, open, seal, TAG } from './age-cipher.ts';
import { FILE_KEY_BYTES, headerFor, NONCE_BYTES, Opener, Opening } from './age-header.ts';
import { DamagedError } from './damaged.ts';
import { Pieces } from './pieces.ts';

const CHUNK = 64 * 1024;

/**
 * Creates an age file of any size with less than 0.5 MiB of memory.
 * @param recipient the raw 32 bytes of an X25519 public key
 * @param content chunks; each is consumed when the next one is requested
 * @throws {RangeError} unless `recipient` has 32 bytes; an OpenSSL error if the key is a point of low order, for which
 * anybody could read the file
 */
export function* encrypt(recipient: Buffer, content: Iterable<Buffer>): Generator<Buffer> {
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const key = payloadKey(fileKey, nonce);
  const chunk = new Pieces(CHUNK);
  let chunks = 0;
  yield headerFor(recipient, fileKey);
  yield nonce;
  for (const bytes of content) {
    for (const piece of chunk.add(bytes)) yield* seal(key, chunkNonce(chunks++, false), piece);
  }
  yield* seal(key, chunkNonce(chunks, true), chunk.rest());
}

/**
 * Returns a stream that decrypts an age file. It emits each chunk of 64 KiB after verifying it, so its output is a
 * prefix of the original content. The content is complete only if the stream ends without an error. It fails with a
 * {@link DamagedError}.
 * @param identity the raw 32 bytes of an X25519 scalar
 * @param usedUp called with each buffer that was written to the stream, when it is no longer needed
 * @throws {RangeError} unless `identity` has 32 bytes
 */
export function decryptor(identity: Buffer, usedUp = keep): Transform {
  const opener = new Opener(identity);
  const opening = new Opening();
  const pieces = new Pieces(CHUNK + TAG);
  let key: KeyObject | undefined;
  let chunks = 0;
  const openChunk = (piece: Buffer, last: boolean): Buffer => {
    const content = piece.length < TAG ? undefined : open(key as KeyObject, chunkNonce(chunks, last), piece);
    if (!content) throw damagedChunk(chunks, last);
    if (content.length === 0 && chunks > 0) throw new DamagedError('the last chunk is empty');
    chunks++;
    return content;
  };
  const take = (bytes: Buffer) => {
    let payload: Buffer | undefined = bytes;
    if (!key) {
      payload = opening.add(bytes);
      if (!payload) return;
      key = payloadKey(opener.fileKey(opening.header), opening.nonce);
    }
    for (const piece of pieces.add(payload)) stream.push(openChunk(piece, false));
  };
  const stream = new Transform({
    transform: (bytes: Buffer, _encoding, done) =>
      attempt(() => {
        take(bytes);
        usedUp(bytes);
      }, done),
    flush: (done) =>
      attempt(() => {
        if (!key) throw opening.incomplete();
        stream.push(openChunk(pieces.rest(), true));
      }, done),
  });
  return stream;
}

function damagedChunk(index: number, last: boolean): DamagedError {
  const place = `chunk ${index} of the payload is changed`;
  return new DamagedError(last ? `${place}, or the file is cut off` : `${place}, or has another place`);
}

function keep(_bytes: Buffer): void {}

function attempt(work: () => void, done: (error?: Error) => void): void {
  try {
    work();
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}

function payloadKey(fileKey: Buffer, nonce: Buffer): KeyObject {
  return derive(fileKey, nonce, 'payload');
}

function chunkNonce(index: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(index, 5, 6);
  nonce[11] = last ? 1 : 0;
  return nonce;
}
