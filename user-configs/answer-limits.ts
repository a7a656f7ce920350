/**
 * Limits on the answers of S3. Anybody who can write to the bucket chooses the size of an object, and the SDK reads the
 * answers that it parses into memory. Node limits headers to 16 KiB.
 */

import { pipeline, type Readable, Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { ServiceError } from '../errors/service-error.ts';

/** The maximum of `current.json` in bytes; it usually has a few hundred. */
export const MOST_OF_CURRENT = 16 * 2 ** 10;
/** In bytes. A listing has 1000 keys of up to 1024 bytes, and XML escapes can make each byte six times as long. */
const MOST_OF_LISTING = 8 * 2 ** 20;
/** The maximum in bytes of all other answers that the SDK parses: errors, and the answers about uploads. */
const MOST_OF_ANSWER = 64 * 2 ** 10;

/** The maximum number of keys of a listing, and of its pages. */
export const MOST_KEYS = 10_000;
export const MOST_PAGES = 100;

/**
 * @param files the size of the files as a tar archive, in bytes
 * @returns the maximum size of that archive after compression and encryption: zstd and lz4 grow by at most a 255th, and
 * age adds 16 bytes for each 64 KiB
 */
export function mostOfArchive(files: number): number {
  return files + Math.ceil(files / 128) + 2 ** 20;
}

export function tooLarge(what: string, limit: number): ServiceError<'config.answer_too_large'> {
  return new ServiceError('config.answer_too_large', { what, limit });
}

/**
 * Passes the stream on, and fails with `config.answer_too_large` after more than `limit` bytes. It also ends the
 * source.
 */
export function limited(body: Readable, limit: number, what: string): Readable {
  let left = limit;
  const counting = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      left -= bytes.length;
      if (left < 0) done(tooLarge(what, limit));
      else done(null, bytes);
    },
  });
  // An error of either stream becomes an error of the returned one.
  return pipeline(body, counting, () => {});
}

/** Limits all answers that the SDK parses itself. A caller that requests an object limits its body. */
export function limitAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName = 'S3' }) =>
      async (args) => {
        const result = await next(args);
        const response = result.response as { statusCode: number; body?: Readable };
        const isRefused = response.statusCode >= 300;
        if (!response.body || (commandName === 'GetObjectCommand' && !isRefused)) return result;
        const isListing = commandName === 'ListObjectsV2Command' && !isRefused;
        const what = `the answer to ${commandName.replace(/Command$/, '')}`;
        response.body = limited(response.body, isListing ? MOST_OF_LISTING : MOST_OF_ANSWER, what);
        return result;
      },
    // Runs before the SDK's own step, which reads the answer.
    { step: 'deserialize', priority: 'low' },
  );
}
