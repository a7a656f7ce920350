/**
 * The state of a stage: its lock, the waiting release and the current release. It is one object in the store, and is
 * always written as a whole.
 */

import { ReleaseError } from '../errors.ts';

export interface Lock {
  readonly token: string;
  readonly owner: string;
  readonly release: string;
  readonly takenAt: string;
  readonly beat: number;
  readonly beatAt: string;
}

export interface Waiting {
  readonly release: string;
  readonly ticket: number;
}

export interface StageState {
  readonly lock?: Lock;
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

export function superseded(release: string, by?: string): ReleaseError {
  return new ReleaseError(
    'superseded',
    `${release} was superseded: ${by === undefined ? 'another process has taken its lock' : `${by} came later`}.`,
  );
}
