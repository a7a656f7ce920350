/** A file that is read while it is still written, so that an upload can start before packing is complete. */

import { stat } from 'node:fs/promises';

interface Waiter {
  readonly bytes: number;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: unknown) => void;
}

export class GrowingFile {
  readonly path: string;
  #bytes = 0;
  #isWhole = false;
  #failure: { readonly error: unknown } | undefined;
  #waiters: Waiter[] = [];

  constructor(path: string) {
    this.path = path;
  }

  /** A file that is already complete. */
  static async whole(path: string): Promise<GrowingFile> {
    const file = new GrowingFile(path);
    file.grow((await stat(path)).size);
    file.finish();
    return file;
  }

  /** The number of bytes that are written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Called by the writer: this many bytes were added. */
  grow(bytes: number): void {
    this.#bytes += bytes;
    this.#wake();
  }

  /** Called by the writer: the file is complete. */
  finish(): void {
    this.#isWhole = true;
    this.#wake();
  }

  /** Called by the writer: the file will never be complete. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /**
   * Waits until the file has this many bytes.
   * @returns `bytes`, or the size of the complete file if that is smaller
   * @throws the error that the writer reported
   */
  reached(bytes: number): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiters.push({ bytes, resolve, reject });
    this.#wake();
    return promise;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.#failure) waiter.reject(this.#failure.error);
      else if (this.#bytes >= waiter.bytes) waiter.resolve(waiter.bytes);
      else if (this.#isWhole) waiter.resolve(this.#bytes);
      else this.#waiters.push(waiter);
    }
  }
}
