/** The lock of a stage in the hands of one release: it shows that it lives, and knows until when it may change things. */

import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import { LEASE, type Lock, MARGIN, type StageState, superseded, without } from './stage-state.ts';

/** Milliseconds for which a release waits for a store that does not answer, without changing anything. */
const OUTAGE = 10 * 60_000;

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
  #renewing: Promise<void> | undefined;
  #isLost = false;
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
   * @throws ReleaseError superseded when somebody took the lock, failed when the store stays away
   */
  async beat(): Promise<number> {
    if (this.#clock.now() - this.#beatSentAt >= LEASE / 4) {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewing = undefined;
      });
      await this.#renewing;
    }
    return this.#left();
  }

  /** A lease that ended is nobody else's yet: the token tells whether somebody took the lock. */
  async #renew(): Promise<void> {
    const end = this.#clock.now() + (this.#isLost ? 0 : OUTAGE);
    while (!(await this.#tryRenew())) {
      if (this.#left() > 0) return;
      this.#isLost = this.#clock.now() >= end;
      if (this.#isLost)
        throw new ReleaseError(
          'failed',
          'The store of the lock could not be reached for too long, so nothing may be changed. Check it, then deploy again.',
        );
      await this.#clock.sleep(5000);
    }
    this.#isLost = false;
  }

  async #tryRenew(): Promise<boolean> {
    const sentAt = this.#clock.now();
    try {
      const state = await this.#ledger.withLock(this.#token, (one) => ({
        ...one,
        lock: this.#ledger.beat(one.lock as Lock),
      }));
      if (!state) throw superseded('this release');
      this.#beatSentAt = sentAt;
      return this.#left() > 0;
    } catch (error) {
      if (error instanceof ReleaseError) throw error;
      return false;
    }
  }

  #left(): number {
    return this.#beatSentAt + LEASE - MARGIN - this.#clock.now();
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
