/** What is known of a stage: who has the lock, who waits, what runs. One object in the store, changed as a whole. */

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
  /** The release that waits for the lock. One that came later takes its place. */
  readonly waiting?: Waiting;
  /** The last ticket that was drawn. Tickets tell who came later; clocks do not. */
  readonly tickets?: number;
  /** The ticket of the last release that had the lock. */
  readonly taken?: number;
  /** The release that runs, or left the stage in pieces. */
  readonly inFlight?: string;
  /** The release that the stage runs. */
  readonly current?: string;
}

/** Milliseconds without a beat after which a lock is stale. */
export const LEASE = 60_000;
/** So much of a lease is left when a change may still be begun. */
export const MARGIN = 20_000;

/** @param names what the stage has no longer */
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
