/**
 * Uploads content that is too large for a message. EchoStream issues upload targets in advance: a presigned POST to S3 and a
 * presigned URL to download the content again. The content is stored gzipped.
 *
 * S3 must know the length of an upload before it begins, so a stream is compressed into a temporary file first.
 */

import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import type { StorageAnswer } from './api/queries.ts';
import { unlessAborted } from './before.ts';
import { backoff, type Clock } from './clock.ts';
import { EchoStreamError, messageOf } from './errors.ts';

/** Content in memory, or a stream of any size. */
export type BulkData = string | Uint8Array | AsyncIterable<Uint8Array | string>;

/** More targets are fetched when fewer than this are left. */
const FEW = 5;
/** Milliseconds before its end at which a target counts as expired. */
const MARGIN = 60_000;
const ATTEMPTS = 4;
/** The largest upload that S3 accepts. */
const MOST = 5 * 1024 ** 3;
/** Milliseconds without progress after which an upload fails. */
const IDLE = 60_000;

export interface BulkDataOptions {
  /** Requests upload targets from EchoStream. */
  readonly places: () => Promise<readonly StorageAnswer[]>;
  readonly clock: Clock;
  readonly now?: () => number;
}

/** Compressed content that can be read more than once. */
interface Packed {
  readonly bytes: number;
  read(): Readable;
  remove(): Promise<void>;
}

export class BulkDataStorage {
  readonly #options: BulkDataOptions;
  readonly #now: () => number;
  #places: StorageAnswer[] = [];
  #fetching: Promise<void> | undefined;

  constructor(options: BulkDataOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Resolves with the URL of the content. @throws EchoStreamError BULK_DATA_FAILED, API_FAILED */
  async upload(data: BulkData, signal?: AbortSignal): Promise<string> {
    const packed = await pack(data, signal);
    try {
      if (packed.bytes > MOST) throw failed(`it has ${packed.bytes} bytes compressed, and S3 takes ${MOST}`);
      for (let attempt = 1; ; attempt += 1) {
        const place = await this.#place(signal);
        const problem = await post(place, packed, signal).catch((error: unknown) => {
          signal?.throwIfAborted();
          return messageOf(error);
        });
        if (problem === undefined) return place.presignedGet;
        if (attempt === ATTEMPTS) throw failed(problem);
        await this.#options.clock.sleep(backoff(attempt), signal);
      }
    } finally {
      await packed.remove();
    }
  }

  async #place(signal?: AbortSignal): Promise<StorageAnswer> {
    for (;;) {
      const place = this.#places.shift();
      if (this.#places.length < FEW) {
        this.#fetching ??= this.#fetch();
        // Nobody waits for it while another target is left.
        if (place) this.#fetching.catch(() => {});
      }
      if (place && endOf(place) - MARGIN > this.#now()) return place;
      if (!place) await unlessAborted(signal, this.#fetching);
    }
  }

  /** All uploads share it, so none of them can abort it. */
  async #fetch(): Promise<void> {
    try {
      this.#places.push(...(await this.#options.places()));
    } finally {
      this.#fetching = undefined;
    }
  }
}

function endOf({ expiration }: StorageAnswer): number {
  return typeof expiration === 'number' ? expiration * 1000 : Date.parse(expiration);
}

async function pack(data: BulkData, signal?: AbortSignal): Promise<Packed> {
  if (typeof data === 'string' || data instanceof Uint8Array) {
    const content = await promisify(gzip)(data);
    return { bytes: content.length, read: () => Readable.from([content]), remove: async () => {} };
  }
  const directory = await mkdtemp(join(tmpdir(), 'echostream-node-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const file = join(directory, 'bulk-data.gz');
    await pipeline(data, createGzip(), createWriteStream(file, { mode: 0o600 }), {
      ...(signal && { signal }),
    });
    return { bytes: (await stat(file)).size, read: () => createReadStream(file), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Resolves with the failure. */
async function post(
  { presignedPost }: StorageAnswer,
  packed: Packed,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { head, tail, boundary } = form(presignedPost.fields);
  const url = new URL(presignedPost.url);
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const request = (url.protocol === 'http:' ? httpRequest : httpsRequest)(url, {
    method: 'POST',
    headers: {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': head.length + packed.bytes + tail.length,
    },
    timeout: IDLE,
    ...(signal && { signal }),
  });
  request.on('timeout', () => request.destroy(new Error(`no progress for ${IDLE / 1000} s`)));
  request.on('error', reject);
  request.on('response', (response) => {
    response.resume();
    const { statusCode = 0 } = response;
    resolve(statusCode >= 200 && statusCode < 300 ? undefined : `S3 answered with status ${statusCode}`);
  });
  async function* parts(): AsyncGenerator<Buffer> {
    yield head;
    yield* packed.read() as AsyncIterable<Buffer>;
    yield tail;
  }
  // A failure to send is reported by the answer, or by the request's error.
  pipeline(parts, request).catch(reject);
  return promise;
}

function form(given: StorageAnswer['presignedPost']['fields']) {
  const fields: Readonly<Record<string, string>> = typeof given === 'string' ? JSON.parse(given) : given;
  const boundary = `echostream-node-${crypto.randomUUID()}`;
  const parts = Object.entries(fields).map(
    ([name, value]) => `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const file = `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="bulk_data"\r\n\r\n`;
  return { boundary, head: Buffer.from(parts.join('') + file), tail: Buffer.from(`\r\n--${boundary}--\r\n`) };
}

function failed(problem: string): EchoStreamError {
  return new EchoStreamError('BULK_DATA_FAILED', `The bulk data could not be uploaded: ${problem}.`);
}
