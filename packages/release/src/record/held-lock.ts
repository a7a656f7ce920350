/**
 * The lock of a stage, held by one release. It renews the lease, and knows how long the release may still make changes.
 */

import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import { LEASE, type Lock, MARGIN, type StageState, superseded, without } from './stage-state.ts';

/** Milliseconds for which a release waits for an unreachable store. It makes no changes meanwhile. */
const OUTAGE = 10 * 60_000;

export interface Holder {
  /** @returns undefined when this token no longer holds the lock */
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
  /** The release that left the stage partly changed, if there is one. */
  readonly leftOver: string | undefined;

  constructor(ledger: Holder, clock: Clock, token: string, sentAt: number, leftOver: string | undefined) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#token = token;
    this.#beatSentAt = sentAt;
    this.leftOver = leftOver;
  }

  /**
   * Renews the lease when it is time. Call this before each change, and regularly while waiting.
   * @returns milliseconds for which changes are still allowed
   * @throws ReleaseError superseded when another process took the lock, failed when the store stays unreachable
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

  /** An expired lease can still be renewed: the token tells whether another process took the lock. */
  async #renew(): Promise<void> {
    const end = this.#clock.now() + (this.#isLost ? 0 : OUTAGE);
    while (!(await this.#tryRenew())) {
      if (this.#left() > 0) return;
      this.#isLost = this.#clock.now() >= end;
      if (this.#isLost)
        throw new ReleaseError(
          'failed',
          'The store of the lock was unreachable for too long, so the release may not change anything any more. Check the store, then deploy again.',
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
      // The caller gives the lock up when its running changes have ended.
      if (state.lock?.isRevoked)
        throw new ReleaseError(
          'superseded',
          'This release was stopped by "ecs-release unlock". The next release rolls back what it has changed.',
        );
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

  /**
   * Marks this release as in flight.
   * @param current the release that the stage runs, if it was just found out
   */
  async begin(release: string, current?: string): Promise<void> {
    const begun = await this.#ledger.withLock(this.#token, (state) => ({
      ...state,
      inFlight: release,
      ...(current !== undefined && { current }),
    }));
    if (!begun) throw superseded(release);
  }

  /**
   * Gives the lock back. If another process took it meanwhile, that is no error, because it reads the outcome in the
   * record.
   * @param current the release that the stage runs now; undefined: unchanged
   */
  async release(current?: string): Promise<void> {
    await this.#ledger.withLock(this.#token, (state) => ({
      ...without(state, 'lock', 'inFlight'),
      ...(current !== undefined && { current }),
    }));
  }

  /** Gives the lock back. The stage runs no release any more. */
  async clear(): Promise<void> {
    await this.#ledger.withLock(this.#token, (state) => without(state, 'lock', 'inFlight', 'current'));
  }

  /** Gives the lock back but leaves the release in flight, so that the next release takes it back first. */
  async abandon(): Promise<void> {
    await this.#ledger.withLock(this.#token, (state) => without(state, 'lock'));
  }
}
