/**
 * Time and turns for processes that run concurrently in one test. Each call to the outside waits for its turn, and a
 * seed decides the order of the turns. Time passes only when all processes wait.
 */

import type { Clock } from '../../src/clock.ts';

interface Waiting {
  readonly owner: string;
  readonly at: number;
  readonly go: () => void;
}

/** Numbers from 0 to 1, which depend only on the seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export class VirtualTime {
  now = Date.parse('2026-11-30T00:00:00Z');
  readonly #random: () => number;
  #waiting: Waiting[] = [];
  #timeouts: { readonly at: number; readonly controller: AbortController }[] = [];
  readonly #dead = new Set<string>();
  readonly #pausedUntil = new Map<string, number>();

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The clock of the process with this name. */
  clockOf(owner: string): Clock {
    return {
      now: () => this.now,
      sleep: (milliseconds) => this.#wait(owner, this.now + milliseconds),
      timeout: (milliseconds) => this.timeout(milliseconds),
    };
  }

  /** @returns a signal that aborts when this time has passed */
  timeout(milliseconds: number): AbortSignal {
    const controller = new AbortController();
    this.#timeouts.push({ at: this.now + milliseconds, controller });
    return controller.signal;
  }

  /** Resolves when it is this process's turn. A call takes some time. */
  async turn(owner: string): Promise<void> {
    await this.#wait(owner, this.now + Math.floor(this.#random() * 200));
  }

  /** Stops the process for good, without telling it. */
  kill(owner: string): void {
    this.#dead.add(owner);
    this.#waiting = this.#waiting.filter((one) => one.owner !== owner);
  }

  isDead(owner: string): boolean {
    return this.#dead.has(owner);
  }

  /** Stops the process for a while, like a laptop whose lid is closed. */
  pause(owner: string, milliseconds: number): void {
    this.#pausedUntil.set(owner, this.now + milliseconds);
  }

  /** Gives turns until nobody waits. */
  async run(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const [next, ...others] = this.#waiting
        .map((one) => ({ one, at: Math.max(one.at, this.#pausedUntil.get(one.owner) ?? 0) }))
        .toSorted((a, b) => a.at - b.at);
      if (!next) return;
      // Processes that are due at about the same time continue in any order.
      const near = [next, ...others.filter(({ at }) => at - next.at < 300)];
      const chosen = near[Math.floor(this.#random() * near.length)] ?? next;
      this.now = Math.max(this.now, chosen.at);
      const { due = [], later = [] } = Object.groupBy(this.#timeouts, ({ at }) =>
        at <= this.now ? 'due' : 'later',
      );
      this.#timeouts = later;
      for (const { controller } of due) controller.abort(new Error('the time was over'));
      this.#waiting = this.#waiting.filter((one) => one !== chosen.one);
      chosen.one.go();
    }
  }

  #wait(owner: string, at: number): Promise<void> {
    if (this.#dead.has(owner)) return new Promise(() => {});
    return new Promise((go) => this.#waiting.push({ owner, at, go }));
  }
}
