/**
 * Reads the predecessor's files, so that users keep their configs. This service does not write the format, because it
 * has no MAC: a changed file is at best detected by its padding, its compression or its archive. Its content must not
 * be trusted.
 *
 * Source: the output of `openssl enc -aes-256-cbc -pbkdf2` of OpenSSL 1.1.1 and later, see openssl-enc(1).
 */

import { createDecipheriv, type Decipheriv, pbkdf2 } from 'node:crypto';
import { Transform } from 'node:stream';
import { promisify } from 'node:util';
import { DamagedError } from './damaged.ts';

const MAGIC = 'Salted__';
const SALT_BYTES = 8;
const HEADER_BYTES = MAGIC.length + SALT_BYTES;
const ITERATIONS = 10_000;
const KEY_BYTES = 32;
const IV_BYTES = 16;

/**
 * Returns a stream that decrypts the predecessor's format. Its output is an lz4 stream and is not verified. It fails
 * with a {@link DamagedError} when the file or the token turns out to be wrong, possibly only at the end.
 * @param token its UTF-8 bytes are the password
 */
export function oldFormatDecryptor(token: string): Transform {
  let header = Buffer.alloc(0);
  let decipher: Decipheriv | undefined;
  return new Transform({
    transform(bytes: Buffer, _encoding, done) {
      if (decipher) return done(null, decipher.update(bytes));
      header = Buffer.concat([header, bytes]);
      if (header.length < HEADER_BYTES) return done();
      begin(token, header).then((begun) => {
        decipher = begun;
        done(null, begun.update(header.subarray(HEADER_BYTES)));
      }, done);
    },
    flush(done) {
      if (decipher) finish(decipher, done);
      else done(new DamagedError('the file is shorter than its header'));
    },
  });
}

/** Derives the key in another thread, because PBKDF2 takes milliseconds by design. */
async function begin(token: string, header: Buffer): Promise<Decipheriv> {
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new DamagedError(`the file does not begin with ${MAGIC}`);
  }
  const salt = header.subarray(MAGIC.length, HEADER_BYTES);
  const derived = await promisify(pbkdf2)(token, salt, ITERATIONS, KEY_BYTES + IV_BYTES, 'sha256');
  return createDecipheriv('aes-256-cbc', derived.subarray(0, KEY_BYTES), derived.subarray(KEY_BYTES));
}

function finish(decipher: Decipheriv, done: (error: Error | null, rest?: Buffer) => void): void {
  let rest: Buffer;
  try {
    rest = decipher.final();
  } catch (cause) {
    const error = new DamagedError(
      'the padding is wrong: another token, or a file that is cut off or changed',
      {
        cause,
      },
    );
    done(error);
    return;
  }
  done(null, rest);
}
