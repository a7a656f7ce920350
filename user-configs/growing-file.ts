/** A file that is read while it is still written: a save goes on its way before the last of it is packed. */

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

  /** One that does not grow any more. */
  static async whole(path: string): Promise<GrowingFile> {
    const file = new GrowingFile(path);
    file.grow((await stat(path)).size);
    file.finish();
    return file;
  }

  /** What was written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Of the writer: so many bytes more are in the file. */
  grow(bytes: number): void {
    this.#bytes += bytes;
    this.#wake();
  }

  /** Of the writer: this was all of it. */
  finish(): void {
    this.#isWhole = true;
    this.#wake();
  }

  /** Of the writer: it will never be whole. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#wake();
  }

  /**
   * Waits until there are as many bytes.
   * @returns `bytes`, or fewer: the size of the whole file
   * @throws what the writer failed with
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
