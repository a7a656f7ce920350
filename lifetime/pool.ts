/**
 * A pool of numbers. Each number can be held by one lifetime at a time. The pool goes round, so that a released number
 * is reused as late as possible unless a caller asks for it. It is exhaustive: it fails only if every number is held or
 * unusable.
 */

import type { Lifetime } from './lifetime.ts';

/** How a number of a pool is held. */
export interface Allotment {
  readonly kind: string;
  /** The name of the holding of `n`, for example `tcp 32262`. */
  describe(n: number): string;
  /** Whether `n` is free outside this service. An unusable number is skipped. */
  usable(n: number): boolean | Promise<boolean>;
  seenGone(n: number, signal: AbortSignal): string | Promise<string>;
  /** Numbers to try first. */
  readonly wishes?: readonly number[];
}

/** How many numbers a pool has, and how many of them are held. */
export type PoolUse = Pick<Pool, 'size' | 'held'>;

export class PoolExhaustedError extends Error {
  constructor(size: number, held: number) {
    super(`none of ${size} numbers is free: ${held} are held, the others are not usable`);
    this.name = 'PoolExhaustedError';
  }
}

export class Pool {
  /** Sorted. A Set would take some ten times as much memory, and there are pools of 65,536 numbers. */
  readonly #numbers: Uint32Array;
  readonly #held = new Set<number>();
  readonly #setAside = new Map<number, number>();
  #next: number;

  /** @param numbers integers from 0 on @param first the number to start with; default: the lowest */
  constructor(numbers: Iterable<number>, first = 0) {
    const sorted = Uint32Array.from(numbers).sort();
    this.#numbers = sorted.filter((n, i) => n !== sorted[i - 1]);
    this.#next = this.#placeOf(first) % this.size || 0;
  }

  #has(n: number): boolean {
    return this.#numbers[this.#placeOf(n)] === n;
  }

  /** The index of the first number that is at least `n`. */
  #placeOf(n: number): number {
    let [low, high] = [0, this.size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#numbers[middle] as number) < n) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get size(): number {
    return this.#numbers.length;
  }

  /** Does not count adopted numbers that are not in the pool. */
  get held(): number {
    return [...this.#held].filter((n) => this.#has(n)).length;
  }

  /** Skips `n` for the next `milliseconds`. */
  setAside(n: number, milliseconds: number): void {
    this.#setAside.set(n, performance.now() + milliseconds);
  }

  isSetAside(n: number): boolean {
    return (this.#setAside.get(n) ?? 0) > performance.now();
  }

  isHeld(n: number): boolean {
    return this.#held.has(n);
  }

  /** Holds a free number until `lifetime` ends. @throws {PoolExhaustedError} when there is none */
  async acquire(lifetime: Lifetime, allotment: Allotment): Promise<number> {
    for (const n of this.#candidates(allotment.wishes ?? [])) {
      if (await this.#hold(lifetime, n, allotment)) return n;
    }
    throw new PoolExhaustedError(this.size, this.held);
  }

  /** Holds the number `n` until `lifetime` ends, whether it is in the pool or not. @returns whether it was free */
  async acquireThe(lifetime: Lifetime, n: number, allotment: Allotment): Promise<boolean> {
    return this.#isFree(n) && (await this.#hold(lifetime, n, allotment));
  }

  /** Holds a number that a container already has, without checking whether it is free. */
  async adopt(lifetime: Lifetime, n: number, allotment: Omit<Allotment, 'usable'>): Promise<void> {
    await this.#hold(lifetime, n, { ...allotment, usable: () => true });
  }

  /** @returns whether it was usable */
  async #hold(lifetime: Lifetime, n: number, allotment: Allotment): Promise<boolean> {
    this.#held.add(n);
    let taken = false;
    try {
      if (!(await allotment.usable(n))) return false;
      await lifetime.acquire({
        kind: allotment.kind,
        what: allotment.describe(n),
        take: () => {
          taken = true;
        },
        release: () => {},
        seenGone: async (_, signal) => {
          const seen = await allotment.seenGone(n, signal);
          this.#held.delete(n);
          return seen;
        },
      });
      return true;
    } finally {
      if (!taken) this.#held.delete(n);
    }
  }

  /** Yields each number that is free when its turn comes, at most once, and the wishes first. */
  *#candidates(wishes: readonly number[]): Generator<number> {
    for (const wish of wishes) if (this.#has(wish) && this.#isFree(wish)) yield wish;
    const start = this.#next;
    for (let i = 0; i < this.size; i++) {
      const index = (start + i) % this.size;
      const n = this.#numbers[index] as number;
      if (wishes.includes(n) || !this.#isFree(n)) continue;
      this.#next = (index + 1) % this.size;
      yield n;
    }
  }

  #isFree(n: number): boolean {
    return !this.isHeld(n) && !this.isSetAside(n);
  }
}
