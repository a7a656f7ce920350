/** The tools that all steps of a release share, and the helpers with which they make changes under the lock. */

import type { Clock } from '../clock.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import type { HeldLock } from '../record/held-lock.ts';
import type { Ledger } from '../record/ledger.ts';
import type { Cloud } from './cloud.ts';
import type { Tell } from './progress.ts';

export interface Timing {
  readonly timeout: number;
  readonly poll: number;
  readonly failures: number;
}

export interface Tools {
  readonly cloud: Cloud;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly timing: Timing;
  readonly tell: Tell;
  /** Aborts when the release is interrupted. The release then fails, and is taken back. */
  readonly signal: AbortSignal;
}

export interface Work extends Tools {
  readonly held: Pick<HeldLock, 'beat'>;
  /**
   * The services that this process has tried to update, and the places of triggers. AWS may answer reads from before
   * these updates, so a read does not prove that an update failed.
   */
  readonly touched: Set<string>;
}

/** The part of `Work` that changes and watches the stage. It has no record. */
export type Hands = Omit<Work, 'ledger' | 'touched'>;

/** The part of `Work` that waits for something. */
export type Watching = Omit<Hands, 'cloud'>;

/** For commands that need no lock. The number is how long a change may take, in milliseconds. */
export const UNLOCKED: Work['held'] = { beat: async () => 60_000 };

/** Makes a change, and aborts it when the lease runs out. */
export async function change<T>(work: Watching, make: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return await make(work.clock.timeout(await work.held.beat()));
}

export function isSuperseded(error: unknown): boolean {
  return error instanceof ReleaseError && error.kind === 'superseded';
}

/** Tries up to five times, because taking a release back must not stop at the first error. */
export async function persist<T>(work: Watching, make: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await make();
    } catch (error) {
      if (attempt === 5 || isSuperseded(error)) throw error;
      work.tell({ event: 'failure', text: `${messageOf(error)}; trying again` });
      await work.clock.sleep(1000 * 2 ** attempt);
      await work.held.beat();
    }
  }
}

/**
 * Runs all parts, even if some fail.
 * @throws ReleaseError with the reasons of all failures
 */
export async function settleAll(parts: readonly (() => Promise<void>)[]): Promise<void> {
  const ends = await Promise.allSettled(parts.map((part) => part()));
  const errors = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  if (errors.length === 0) return;
  const decisive = errors.find(isSuperseded);
  if (decisive) throw decisive;
  const reasons = [...new Set(errors.map(messageOf))].join('; ');
  throw new ReleaseError('failed', reasons, { cause: new AggregateError(errors) });
}

/** A single read may fail. AWS's client has already retried it, so only lasting failures count. */
export class Looks {
  #failed = 0;
  readonly #work: Watching;

  constructor(work: Watching) {
    this.#work = work;
  }

  /** @returns undefined when the read failed */
  async look<T>(make: () => Promise<T>): Promise<T | undefined> {
    try {
      const seen = await make();
      this.#failed = 0;
      return seen;
    } catch (error) {
      this.#failed += 1;
      if (error instanceof ReleaseError || this.#failed >= 5) throw error;
      this.#work.tell({ event: 'failure', text: `${messageOf(error)}; looking again` });
      return undefined;
    }
  }
}
