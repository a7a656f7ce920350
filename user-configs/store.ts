/**
 * The stored configs of one user and app. Each saved archive is a new object; none is overwritten. One small object
 * says which save is current. It is replaced with a conditional write, so that concurrent changes are detected.
 *
 * versions/<version>.age all files
 * versions/<version>+<changes>.age the changes since then
 * aside/… like versions/…, from sessions whose saves must not become current
 * current.json the save that the next session starts with
 */

import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { unlessAborted } from '../lifetime/deadline.ts';
import { limited, MOST_KEYS, MOST_OF_CURRENT, MOST_PAGES, tooLarge } from './answer-limits.ts';
import { type Current, isSame, parseCurrent } from './current.ts';
import type { GrowingFile } from './growing-file.ts';
import { PART, type PartBuffers } from './part-buffers.ts';

/** The current save as it was read. It detects whether another host has replaced it since. */
export interface Found {
  readonly current: Current;
  readonly etag: string;
}

/** The content of an object. */
export interface Content {
  readonly stream: Readable;
  readonly bytes: number;
}

/** An object in a listing. */
export interface Stored {
  readonly name: string;
  readonly bytes: number;
  /** When it was stored, by the clock of the store. */
  readonly at: Date;
}

const CURRENT = 'current.json';

/** The time limit in milliseconds for the first byte of an object that a user waits for. */
const FIRST_BYTE = 3000;

export interface StoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** The prefix of all objects; ends with a slash. */
  readonly prefix: string;
  /** Shared by all stores. */
  readonly buffers: PartBuffers;
}

export class ConfigStore {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #buffers: PartBuffers;

  constructor({ client, bucket, prefix, buffers }: StoreOptions) {
    this.#client = client;
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#buffers = buffers;
  }

  /** @returns undefined if nothing was ever saved @throws {ServiceError} `config.store` */
  async findCurrent(signal: AbortSignal): Promise<Found | undefined> {
    return await this.#attempt('say which config is current', () => this.#findCurrent(signal));
  }

  /**
   * @param name below the prefix
   * @param most the maximum size in bytes
   * @returns undefined if there is no such object; the stream may fail later
   * @throws {ServiceError} `config.store`, `config.answer_too_large`, also as an error of the stream
   */
  async open(name: string, most: number, signal: AbortSignal): Promise<Content | undefined> {
    return await this.#attempt(`give ${name}`, () => this.#get(name, most, signal));
  }

  /**
   * Uploads a file under a new name, in parts, while it grows. The object exists once the file is complete; after a
   * failure nothing is left. A repetition is harmless.
   * @throws {ServiceError} `config.store`
   */
  async put(name: string, growing: GrowingFile, signal: AbortSignal): Promise<void> {
    await this.#attempt(`take ${name}`, async () => {
      await using file = await open(growing.path, 'r');
      const size = await unlessAborted(growing.reached(PART + 1), signal);
      const target = this.#target(name);
      if (size > PART) return await this.#putParts(file, growing, target, signal);
      const Body = await readPart(file, 0, Buffer.allocUnsafe(size));
      await this.#client.send(new PutObjectCommand({ ...target, Body }), { abortSignal: signal });
    });
  }

  /**
   * Replaces the current save if it is still the one that was found.
   * @returns the new state; undefined if another host replaced it first
   * @throws {ServiceError} `config.store`; the replacement may have succeeded even so
   */
  async makeCurrent(
    current: Current,
    found: Found | undefined,
    signal: AbortSignal,
  ): Promise<Found | undefined> {
    return await this.#attempt('make a config current', async () => {
      const condition = found ? { IfMatch: found.etag } : { IfNoneMatch: '*' };
      const Body = JSON.stringify(current);
      const command = new PutObjectCommand({ ...this.#target(CURRENT), Body, ...condition });
      try {
        const { ETag = '' } = await this.#client.send(command, { abortSignal: signal });
        return { current, etag: ETag };
      } catch (error) {
        if (!isStatus(error, 404, 409, 412)) throw error;
        // If the answer to the first attempt was lost, the retry fails because of that attempt.
        const now = await this.#findCurrent(signal);
        return now && isSame(now.current, current) ? now : undefined;
      }
    });
  }

  /**
   * Lists all objects below the prefix, sorted by name.
   * @param directory only this directory, such as `versions/`
   * @throws {ServiceError} `config.store`, `config.answer_too_large`
   */
  async list(signal: AbortSignal, directory = ''): Promise<Stored[]> {
    return await this.#attempt('list its objects', async () => {
      const found: Stored[] = [];
      const where = { Bucket: this.#bucket, Prefix: `${this.#prefix}${directory}` };
      let pages = 0;
      for await (const page of paginateListObjectsV2({ client: this.#client }, where, {
        abortSignal: signal,
      })) {
        for (const { Key = '', Size: bytes = 0, LastModified: at = new Date(0) } of page.Contents ?? []) {
          found.push({ name: Key.slice(this.#prefix.length), bytes, at });
        }
        if (++pages > MOST_PAGES || found.length > MOST_KEYS) {
          throw new Error(
            `there are more than ${MOST_KEYS} objects; remove those that this service has not stored`,
          );
        }
      }
      return found;
    });
  }

  /** @throws {ServiceError} `config.store` */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.#attempt(`remove ${name}`, async () => {
      await this.#client.send(new DeleteObjectCommand(this.#target(name)), { abortSignal: signal });
    });
  }

  #target(name: string): Target {
    return { Bucket: this.#bucket, Key: `${this.#prefix}${name}` };
  }

  async #findCurrent(signal: AbortSignal): Promise<Found | undefined> {
    const found = await this.#get(CURRENT, MOST_OF_CURRENT, signal);
    return found && { current: parseCurrent(await text(found.stream)), etag: found.etag };
  }

  async #get(
    name: string,
    most: number,
    signal: AbortSignal,
  ): Promise<(Content & { etag: string }) | undefined> {
    try {
      const command = new GetObjectCommand(this.#target(name));
      const {
        Body,
        ETag = '',
        ContentLength = 0,
      } = await this.#client.send(command, {
        abortSignal: signal,
        requestTimeout: FIRST_BYTE,
      });
      // In Node, the SDK returns a Node stream.
      const body = Body as Readable;
      if (ContentLength > most) {
        body.destroy();
        throw tooLarge(name, most);
      }
      return { stream: limited(body, most, name), etag: ETag, bytes: ContentLength };
    } catch (error) {
      if (error instanceof S3ServiceException && error.name === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  async #putParts(
    file: FileHandle,
    growing: GrowingFile,
    target: Target,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand(target), { abortSignal });
    const upload = { ...target, UploadId };
    const failed = new AbortController();
    const either = AbortSignal.any([abortSignal, failed.signal]);
    const putPart = async (piece: Piece, buffer: Buffer<ArrayBuffer>): Promise<CompletedPart> => {
      either.throwIfAborted();
      const { number: PartNumber, position, length } = piece;
      const Body = await readPart(file, position, buffer.subarray(0, length));
      const command = new UploadPartCommand({ ...upload, PartNumber, Body });
      const { ETag } = await this.#client.send(command, { abortSignal: either });
      return { PartNumber, ETag };
    };
    const parts: Promise<CompletedPart>[] = [];
    try {
      for (let number = 1, position = 0, length = PART; length === PART; number++, position += PART) {
        length = (await unlessAborted(growing.reached(position + PART), either)) - position;
        if (length === 0) break;
        const piece = { number, position, length };
        const part = this.#buffers.use((buffer) => putPart(piece, buffer));
        part.catch((error: unknown) => failed.abort(error));
        parts.push(part);
      }
      const Parts = await Promise.all(parts);
      await this.#client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } }), {
        abortSignal,
      });
    } catch (error) {
      failed.abort();
      await Promise.allSettled(parts);
      // If this fails too, the bucket's rule for incomplete uploads removes the parts.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => {});
      throw error;
    }
  }

  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ServiceError && error.code === 'config.answer_too_large') throw error;
      throw new ServiceError('config.store', { what, why: messageOf(error) }, { cause: error });
    }
  }
}

/** A range of a file, as one part of an upload. */
interface Piece {
  readonly number: number;
  readonly position: number;
  readonly length: number;
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

async function readPart(file: FileHandle, position: number, part: Buffer): Promise<Buffer> {
  const { bytesRead } = await file.read(part, 0, part.length, position);
  if (bytesRead !== part.length) throw new Error('the file became shorter during the upload');
  return part;
}

function isStatus(error: unknown, ...statuses: readonly number[]): boolean {
  return error instanceof S3ServiceException && statuses.includes(error.$metadata.httpStatusCode ?? 0);
}
