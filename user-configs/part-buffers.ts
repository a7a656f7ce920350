/**
 * The memory of all uploads of this host: a few buffers, each for one part, which are reused. New buffers of this size
 * for each part would keep the garbage collector busy and the process large.
 */

import pLimit from 'p-limit';

/** The size of a part in bytes. S3 accepts 10,000 parts of at least 5 MiB. */
export const PART = 5 * 2 ** 20;
const COUNT = 3;

export class PartBuffers {
  readonly #atATime = pLimit(COUNT);
  readonly #free: Buffer<ArrayBuffer>[] = [];

  /** Waits for a buffer of {@link PART} bytes and lends it to `work`. */
  async use<T>(work: (buffer: Buffer<ArrayBuffer>) => Promise<T>): Promise<T> {
    return await this.#atATime(async () => {
      const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(PART);
      try {
        return await work(buffer);
      } finally {
        this.#free.push(buffer);
      }
    });
  }
}
