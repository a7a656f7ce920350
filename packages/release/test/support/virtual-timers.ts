/**
 * A clock that stands still until its tasks are run, so that minutes pass in milliseconds, and always in the same
 * order.
 */

import type { Timers } from '../../src/session/timers.ts';

interface Task {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

export class VirtualTimers implements Timers {
  #now = 0;
  #order = 0;
  #tasks: Task[] = [];

  now(): number {
    return this.#now;
  }

  schedule(milliseconds: number, action: () => void): () => void {
    const task: Task = { at: this.#now + Math.max(0, milliseconds), order: this.#order++, action };
    this.#tasks.push(task);
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== task);
    };
  }

  /** Runs the next task, and returns whether there was one. */
  step(): boolean {
    const [next] = this.#tasks.toSorted((a, b) => a.at - b.at || a.order - b.order);
    if (!next) return false;
    this.#tasks = this.#tasks.filter((other) => other !== next);
    this.#now = next.at;
    next.action();
    return true;
  }

  /** Runs tasks until none is left, or until `isSo` returns true. */
  runUntil(isSo: () => boolean): void {
    while (!isSo()) if (!this.step()) return;
  }
}
