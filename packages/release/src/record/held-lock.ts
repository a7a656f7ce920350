/** The lock of a stage in the hands of one release: it shows that it lives, and knows until when it may change things. */

import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import { LEASE, type Lock, MARGIN, type StageState, superseded, without } from './stage-state.ts';

export interface Holder {
  /** @returns undefined when the lock is not this one any more */
  withLock(token: string, change: (state: StageState) => StageState): Promise<StageState | undefined>;
  beat(lock: Lock): Lock;
}

export class HeldLock {
  readonly #ledger: Holder;
  readonly #clock: Clock;
  readonly #token: string;
  #beatSentAt: number;
  /** The release that somebody left in pieces. */
  readonly leftOver: string | undefined;

  constructor(ledger: Holder, clock: Clock, token: string, sentAt: number, leftOver: string | undefined) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#token = token;
    this.#beatSentAt = sentAt;
    this.leftOver = leftOver;
  }

  /**
   * To be called before each change, and while waiting.
   * @returns milliseconds for which changes may be made
   * @throws ReleaseError superseded
   */
  async beat(): Promise<number> {
    const sentAt = this.#clock.now();
    if (sentAt - this.#beatSentAt < LEASE / 4) return this.#left();
    try {
      const state = await this.#ledger.withLock(this.#token, (one) => ({
        ...one,
        lock: this.#ledger.beat(one.lock as Lock),
      }));
      if (!state) throw superseded('this release');
      this.#beatSentAt = sentAt;
    } catch (error) {
      // The store may come back before the lease ends.
      if (error instanceof ReleaseError || this.#left() <= 0) throw error;
    }
    return this.#left();
  }

  #left(): number {
    const left = this.#beatSentAt + LEASE - MARGIN - this.#clock.now();
    if (left > 0) return left;
    throw new ReleaseError('superseded', 'The lease of the lock ended while the store could not be reached.');
  }

  /** What is in flight is now this release. @param current what the stage runs, if that was just found out */
  async begin(release: string, current?: string): Promise<void> {
    const begun = await this.#ledger.withLock(this.#token, (state) => ({
      ...state,
      inFlight: release,
      ...(current !== undefined && { current }),
    }));
    if (!begun) throw superseded(release);
  }

  /**
   * Gives the lock back. Somebody who took it meanwhile reads the outcome in the record, so that is no error.
   * @param current what the stage runs now; undefined: as before
   */
  async release(current?: string): Promise<void> {
    await this.#ledger.withLock(this.#token, (state) => ({
      ...without(state, 'lock', 'inFlight'),
      ...(current !== undefined && { current }),
    }));
  }

  /** Gives the lock back, and leaves the stage in pieces. */
  async abandon(): Promise<void> {
    await this.#ledger.withLock(this.#token, (state) => without(state, 'lock'));
  }
}
