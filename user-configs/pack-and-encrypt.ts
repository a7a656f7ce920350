/**
 * Packs and encrypts a user's files into a file: a confined child packs, and a thread encrypts what comes through a pipe
 * between them. What the thread allocates keeps only its own, small heap busy, and nobody's request waits for it.
 */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode, Parameters } from '../errors/table.ts';
import { trimMemory } from '../uinput-native/memory.ts';
import { PackingChild, type PackingTask } from './confined-tar.ts';

/** What the thread is to do. */
export interface EncryptingTask {
  /** Descriptor of what is encrypted, to its end. */
  readonly content: number;
  /** The public half of the key. */
  readonly recipient: Uint8Array;
  /** What is encrypted before it. */
  readonly stamp: Uint8Array;
  /** Of a file that is there, and empty. */
  readonly path: string;
}

/** What the thread says. */
export type Encrypted =
  | { readonly is: 'growing'; readonly bytes: number }
  | { readonly is: 'whole' }
  | { readonly is: 'failed'; readonly code: ErrorCode; readonly parameters: Words };

type Words = Readonly<Record<string, string | number>>;

/** Where this code is bundled, the thread's is too, beside it. */
const THREAD = new URL(
  import.meta.filename.endsWith('.mjs') ? './encrypting-worker.mjs' : './encrypting-worker.ts',
  import.meta.url,
);

/** Small, so that what was read and written is given back often. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

/** One archive. The thread loads while the child begins, and both before they are needed. */
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

  /** Looks, not before, whether there is something to pack. @throws as {@link into} */
  async look(): Promise<boolean> {
    return await this.#child.look();
  }

  /**
   * @param path of a file that is there, and empty
   * @param recipient the public half of the key
   * @param stamp what comes before the archive
   * @param grow is told how many bytes more are in the file; what it throws ends the work
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
    // What such threads leave in the arenas of others adds up.
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
