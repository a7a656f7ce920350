/**
 * The state of a stage: its lock, the waiting release and the current release. It is one object in the store, and is
 * always written as a whole.
 */

import type { Clock } from '../clock.ts';
import { wordsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';

export interface Lock {
  readonly token: string;
  readonly owner: string;
  readonly release: string;
  readonly takenAt: string;
  readonly beat: number;
  readonly beatAt: string;
  /** Another process wants to take the lock. The holder starts no more changes, and gives the lock up. */
  readonly isRevoked?: true;
  readonly reason?: never;
}

/** The lock, held by a person. No process keeps it alive, so it is never stale. */
export interface Hold {
  readonly token: string;
  readonly owner: string;
  readonly reason: string;
  readonly takenAt: string;
  readonly release?: never;
  readonly isRevoked?: never;
}

export interface Waiting {
  readonly release: string;
  readonly ticket: number;
}

export interface StageState {
  readonly lock?: Lock | Hold;
  /** The release that waits for the lock. A later release replaces it. */
  readonly waiting?: Waiting;
  /** The last ticket that was issued. Tickets tell which release came later; clocks do not. */
  readonly tickets?: number;
  /** The ticket of the last release that held the lock. */
  readonly taken?: number;
  /** The release that is in progress, or that left the stage partly changed. */
  readonly inFlight?: string;
  /** The release that the stage runs. */
  readonly current?: string;
}

/** Milliseconds without a beat after which a lock is stale. */
export const LEASE = 60_000;
/** Milliseconds before the end of a lease at which changes are aborted. */
export const MARGIN = 20_000;

/** @param names the fields to remove */
export function without(state: StageState, ...names: readonly (keyof StageState)[]): StageState {
  return Object.fromEntries(
    Object.entries(state).filter(([name]) => !names.includes(name as keyof StageState)),
  );
}

/** Tells when a lock has shown no sign of life for a whole lease, by this process's own clock. */
export class Vigil {
  readonly #clock: Clock;
  #seen: { readonly mark: string; readonly since: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isStale(lock: Lock | Hold): boolean {
    if (isHold(lock)) return false;
    const mark = markOf(lock);
    if (this.#seen?.mark !== mark) this.#seen = { mark, since: this.#clock.now() };
    return this.#clock.now() - this.#seen.since > LEASE;
  }
}

/** A lock with another mark has another holder, or has shown a sign of life. */
export function markOf(lock: Lock | Hold): string {
  return isHold(lock) ? lock.token : `${lock.token} ${lock.beat}`;
}

export function isHold(lock: Lock | Hold): lock is Hold {
  return lock.reason !== undefined;
}

/** Tells why and since when a lock is held. It continues a sentence such as "NAME has the lock". */
export function claimOf(lock: Lock | Hold, now: number): string {
  const since = (date: string) => wordsOf(Math.max(0, now - Date.parse(date)));
  const age = `taken ${since(lock.takenAt)} ago`;
  return isHold(lock)
    ? `as a hold, ${age}: "${lock.reason}"`
    : `for ${lock.release}, ${age}, last sign of life ${since(lock.beatAt)} ago`;
}

export function locked(lock: Lock | Hold | undefined, now: number): ReleaseError {
  if (lock && isHold(lock))
    return new ReleaseError(
      'locked',
      `${lock.owner} has the lock of the stage ${claimOf(lock, now)}. Wait, or run "ecs-release unlock" if the hold is no longer needed.`,
    );
  const who = lock ? `${lock.owner} has it ${claimOf(lock, now)}` : 'another release is taking it';
  return new ReleaseError(
    'locked',
    `Another release has the lock of the stage: ${who}. Wait for that release, or run "ecs-release unlock" if its process no longer runs.`,
  );
}

export function superseded(release: string, by?: string): ReleaseError {
  return new ReleaseError(
    'superseded',
    `${release} was superseded: ${by === undefined ? 'another process has taken its lock' : `${by} came later`}.`,
  );
}
