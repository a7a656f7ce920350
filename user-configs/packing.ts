/**
 * Packs and encrypts a user's files in a thread of its own: what it allocates keeps only its own, small heap busy, and
 * nobody's request waits for it.
 */

import { addAbortListener, once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode, Parameters } from '../errors/table.ts';
import type { Extent, Place } from './archive.ts';

export interface PackingTask {
  readonly place: Place;
  readonly extent: Extent;
  /** The public half of the key. */
  readonly recipient: Uint8Array;
  /** Of a file that is there, and empty. */
  readonly path: string;
}

/** What the thread says. */
export type Packed =
  | { readonly is: 'growing'; readonly bytes: number }
  | { readonly is: 'whole' }
  | { readonly is: 'failed'; readonly code: ErrorCode; readonly parameters: Words };

type Words = Readonly<Record<string, string | number>>;

/** Where this code is bundled, the thread's is too, beside it. */
const THREAD = new URL(
  import.meta.filename.endsWith('.mjs') ? './packing-worker.mjs' : './packing-worker.ts',
  import.meta.url,
);

/** Small, so that what was read and written is given back often. */
const LIMITS = { maxYoungGenerationSizeMb: 1 };

/** It loads while its task is still being prepared, and does one. */
export class PackingThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;

  constructor() {
    const { PATH } = process.env;
    this.#worker = new Worker(THREAD, { env: { PATH }, resourceLimits: LIMITS });
    this.#ended = once(this.#worker, 'exit').catch(() => {});
  }

  /**
   * @param grow is told how many bytes more are in the file; what it throws ends the work
   * @throws {ServiceError} `config.*`, `host.filesystem`, what `grow` throws, or the reason of `signal`
   */
  async pack(task: PackingTask, grow: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const worker = this.#worker;
    using _ = addAbortListener(signal, () => worker.postMessage('stop'));
    let failure: { readonly error: unknown } | undefined;
    let isWhole = false;
    worker.on('message', (packed: Packed) => {
      try {
        if (packed.is === 'growing') grow(packed.bytes);
        else if (packed.is === 'whole') isWhole = true;
        else failure ??= { error: new ServiceError(packed.code, packed.parameters as Parameters<ErrorCode>) };
      } catch (error) {
        failure ??= { error };
        worker.postMessage('stop');
      }
    });
    worker.on('error', (error) => {
      failure ??= { error };
    });
    worker.postMessage(task);
    await this.#ended;
    signal.throwIfAborted();
    if (failure) throw failure.error;
    if (!isWhole) throw new ServiceError('config.not_packed', { why: 'its thread ended before' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
