/**
 * The memory of all uploads of this host: a few buffers, each for one part on its way, used again and again. New ones
 * of this size for each part would keep the garbage collector busy, and the process large.
 */

import pLimit from 'p-limit';

/** Bytes of a part; S3 takes 10,000 of at least 5 MiB. */
export const PART = 5 * 2 ** 20;
const COUNT = 3;

export class PartBuffers {
  readonly #atATime = pLimit(COUNT);
  readonly #free: Buffer<ArrayBuffer>[] = [];

  /** Waits for a buffer, of {@link PART} bytes, that is the work's until it is done. */
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
