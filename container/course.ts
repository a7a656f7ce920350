/**
 * The progress of a container through its states: when it began, when it entered its present state, and why it ends.
 */

import { monotonic } from '../lifetime/monotonic.ts';
import type { HandedContainer } from './handed-over.ts';
import type { Cause, Transition } from './state.ts';

export class Course {
  readonly began: Date;
  #since: Date;
  #entered: number;
  #last: Transition | undefined;

  /** @param handed the previous service's record of it */
  constructor(handed: HandedContainer | undefined) {
    this.began = handed ? new Date(handed.began) : new Date();
    this.#since = handed ? new Date(handed.since) : this.began;
    this.#entered = handed?.entered ?? monotonic();
  }

  /** When it entered its present state. */
  get since(): Date {
    return this.#since;
  }

  /** Milliseconds since then, by a clock that nobody can set. */
  get age(): number {
    return monotonic() - this.#entered;
  }

  moved(transition: Transition): void {
    this.#last = transition;
    this.#since = new Date();
    this.#entered = monotonic();
  }

  /** The record for the next service. If the container is ending, this contains the state in which its end began. */
  handed(current: HandedContainer['state'] | 'preparing' | 'ending' | 'gone') {
    const last = current === 'ending' ? this.#last : undefined;
    const state = last?.from ?? current;
    if (state === 'preparing' || state === 'ending' || state === 'gone') return undefined;
    const ending: Cause | undefined = last && { code: last.code, text: last.cause };
    const times = { began: this.began.toISOString(), since: this.#since.toISOString() };
    return { state, ...times, entered: this.#entered, ...(ending && { ending }) };
  }
}
