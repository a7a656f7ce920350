/**
 * Packs and encrypts a user's files into a file. A confined child packs, and a worker thread encrypts the data from the
 * pipe between them. The thread has its own small heap, so its garbage collection does not delay requests.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode, Parameters } from '../errors/table.ts';
import { trimMemory } from '../uinput-native/memory.ts';
import { PackingChild, type PackingTask } from './confined-tar.ts';

/** The task of the worker thread. */
export interface EncryptingTask {
  /** The descriptor to read the content from. */
  readonly content: number;
  /** The public half of the key. */
  readonly recipient: Uint8Array;
  /** Bytes to encrypt before the content. */
  readonly stamp: Uint8Array;
  /** The path of an existing, empty file. */
  readonly path: string;
}

/** The messages of the worker thread. */
export type Encrypted =
  | { readonly is: 'growing'; readonly bytes: number }
  | { readonly is: 'whole' }
  | { readonly is: 'failed'; readonly code: ErrorCode; readonly parameters: Words };

type Words = Readonly<Record<string, string | number>>;

/** In a bundle, the worker is a file beside it. */
const THREAD = new URL(
  import.meta.filename.endsWith('.mjs') ? './encrypting-worker.mjs' : './encrypting-worker.ts',
  import.meta.url,
);

/** A small young generation, so that buffers are freed often. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

/** Makes one archive. The worker loads while the child starts, and both start before they are needed. */
export class Packing implements AsyncDisposable {
  readonly #broken = new AbortController();
  readonly #child: PackingChild;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;

  /** @throws Error with a `code`, such as EMFILE */
  constructor(task: PackingTask, signal: AbortSignal) {
    this.#child = new PackingChild(task, AbortSignal.any([signal, this.#broken.signal]));
    try {
      this.#worker = new Worker(THREAD, { env: {}, resourceLimits: LIMITS });
    } catch (error) {
      this.#broken.abort();
      void this.#child[Symbol.asyncDispose]();
      throw error;
    }
    this.#ended = once(this.#worker, 'exit').catch(() => {});
  }

  /** Checks whether there is something to pack. @throws as {@link into} */
  async look(): Promise<boolean> {
    return await this.#child.look();
  }

  /**
   * @param path of an existing, empty file
   * @param recipient the public half of the key
   * @param stamp bytes before the archive
   * @param grow called with the number of bytes added to the file; what it throws ends the work
   * @throws {ServiceError} `config.*`, `host.filesystem`, what `grow` throws, or the reason of the signal
   */
  async into(
    path: string,
    recipient: Uint8Array,
    stamp: Uint8Array,
    grow: (bytes: number) => void,
  ): Promise<void> {
    const worker = this.#worker;
    let isWhole = false;
    worker.on('message', (said: Encrypted) => {
      try {
        if (said.is === 'growing') grow(said.bytes);
        else if (said.is === 'whole') isWhole = true;
        else throw new ServiceError(said.code, said.parameters as Parameters<ErrorCode>);
      } catch (error) {
        this.#broken.abort(error);
      }
    });
    worker.on('error', (error) => this.#broken.abort(error));
    worker.postMessage({ content: this.#child.archive, recipient, stamp, path } satisfies EncryptingTask);
    await this.#ended;
    // The memory that such threads leave in the allocator's arenas adds up.
    await trimMemory();
    if (!isWhole)
      this.#broken.abort(new ServiceError('config.not_packed', { why: 'its thread ended before' }));
    await this.#child.done();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#broken.abort();
    await this.#worker.terminate();
    await this.#child[Symbol.asyncDispose]();
  }
}
