/**
 * Limits for what S3 answers. Whoever can write to the bucket decides how long an object is, and the SDK reads into
 * memory all of an answer that it understands itself. Headers have a limit in Node: 16 KiB.
 */

import { pipeline, type Readable, Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { ServiceError } from '../errors/service-error.ts';

/** Bytes of `current.json`, which has a few hundred. */
export const MOST_OF_CURRENT = 16 * 2 ** 10;
/** Bytes of a listing of 1000 keys, which can have 1024 bytes each, of which XML makes up to six. */
const MOST_OF_LISTING = 8 * 2 ** 20;
/** Bytes of every other answer that the SDK reads: an error, or what it says of an upload. */
const MOST_OF_ANSWER = 64 * 2 ** 10;

/** Keys, and pages of them, that are read of one listing. */
export const MOST_KEYS = 10_000;
export const MOST_PAGES = 100;

/**
 * @param files bytes that the files may have as a tar archive
 * @returns bytes that this archive can have at most, compressed and encrypted: neither zstd nor lz4 makes anything
 *   longer by more than a 255th, and age adds 16 bytes to 64 KiB
 */
export function mostOfArchive(files: number): number {
  return files + Math.ceil(files / 128) + 2 ** 20;
}

export function tooLarge(what: string, limit: number): ServiceError<'config.answer_too_large'> {
  return new ServiceError('config.answer_too_large', { what, limit });
}

/** Gives out the same, and fails with `config.answer_too_large` once it is more than `limit` bytes. Its source ends with it. */
export function limited(body: Readable, limit: number, what: string): Readable {
  let left = limit;
  const counting = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      left -= bytes.length;
      if (left < 0) done(tooLarge(what, limit));
      else done(null, bytes);
    },
  });
  // An error of either is one of the stream that is given out.
  return pipeline(body, counting, () => {});
}

/** Limits all that the SDK reads by itself; the body of an object is for whoever asked for it to limit. */
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
    // Nearer to the wire than the SDK's own step, which reads.
    { step: 'deserialize', priority: 'low' },
  );
}
