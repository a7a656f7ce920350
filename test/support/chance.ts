/** Random choices that a seed repeats, for tests and sequences of deaths. */

import { createHash } from 'node:crypto';

export class Chance {
  readonly seed: number;
  #drawn = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** A whole number from 0, less than `limit`. */
  below(limit: number): number {
    const digest = createHash('sha256')
      .update(`${this.seed} ${this.#drawn++}`)
      .digest();
    return digest.readUIntBE(0, 6) % limit;
  }

  oneOf<T>(...things: readonly T[]): T {
    return things[this.below(things.length)] as T;
  }
}
