/**
 * The lock and the records of one stage.
 *
 * INVARIANTS
 * - Every change of the lock or the current release is a compare-and-set of one object, `stage.json`.
 * - `inFlight` is written together with the lock. It is cleared together with the lock, unless the release left the
 *   stage partly changed. So the next holder of the lock learns of a release that did not end well, however it died.
 * - A holder proves that it is alive by changing `beat`. A lock is stale when another process has watched it for a
 *   whole lease and saw no beat. No process relies on another machine's clock.
 * - A holder makes no change after its lease, which is counted from before its last beat was sent.
 * - A hold has no beat. It is never stale, and does not change which release is in flight.
 * - A lock that is revoked still has its holder. It is free when the holder has given it up, or when it is stale.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import { HeldLock } from './held-lock.ts';
import type { ReleaseRecord } from './release-record.ts';
import {
  type Hold,
  isHold,
  type Lock,
  locked,
  markOf,
  type StageState,
  superseded,
  Vigil,
  type Waiting,
  without,
} from './stage-state.ts';
import type { Store } from './store.ts';

const ATTEMPTS = 50;
/** Milliseconds between two looks at a lock that another process has. */
const POLL = 2000;

export class Ledger {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #prefix: string;
  readonly #versions = new Map<string, string>();

  constructor(store: Store, clock: Clock, application: string, stage: string) {
    this.#store = store;
    this.#clock = clock;
    this.#prefix = `${application}/${stage}/`;
  }

  get place(): string {
    return `${this.#store.place.replace(/\/+$/, '')}/${this.#prefix}`;
  }

  async state(): Promise<StageState> {
    const stored = await this.#store.read(`${this.#prefix}stage.json`);
    return stored ? JSON.parse(stored.text) : {};
  }

  async record(id: string): Promise<ReleaseRecord | undefined> {
    const name = this.#nameOf(id);
    const stored = await this.#store.read(name);
    if (!stored) return undefined;
    this.#versions.set(name, stored.version);
    return JSON.parse(stored.text);
  }

  /**
   * Writes a record, but only over the version that this process last read or wrote.
   * @throws ReleaseError superseded when another process wrote it
   */
  async keep(record: ReleaseRecord): Promise<void> {
    const name = this.#nameOf(record.id);
    const text = `${JSON.stringify(record, undefined, 2)}\n`;
    const version = await this.#write(name, text, this.#versions.get(name));
    if (version === undefined) throw superseded(record.id);
    this.#versions.set(name, version);
  }

  /** @returns the records, newest first */
  async history(limit: number): Promise<readonly ReleaseRecord[]> {
    const names = await this.#store.list(`${this.#prefix}releases/`);
    const newest = names.slice(-limit).reverse();
    const texts = await Promise.all(newest.map((name) => this.#store.read(name)));
    return texts.flatMap((stored) => (stored ? [JSON.parse(stored.text)] : []));
  }

  /**
   * Takes the lock, or waits for it. While it waits, it passes the lock's holder to `onWait`.
   * @throws ReleaseError locked after `patience` ms, superseded when a later release waits for the lock or had it
   */
  async lock(request: LockRequest): Promise<HeldLock> {
    const { release, owner, patience, onWait, signal } = request;
    const token = randomUUID();
    const end = this.#clock.now() + patience;
    let ticket = 0;
    const vigil = new Vigil(this.#clock);
    for (;;) {
      signal?.throwIfAborted();
      const before = await this.state();
      const stale = before.lock && vigil.isStale(before.lock) ? markOf(before.lock) : undefined;
      const sentAt = this.#clock.now();
      const taken = await this.#update((state) => {
        const isOwn = state.lock?.token === token;
        const isFree = !state.lock || isOwn || markOf(state.lock) === stale;
        const mine = ticket || (state.tickets ?? 0) + 1;
        if (!isFree || (!isOwn && cameLater(state, mine))) return undefined;
        const now = this.#date();
        const lock = { token, owner, release, takenAt: now, beat: 0, beatAt: now };
        const tickets = Math.max(mine, state.tickets ?? 0);
        return { inFlight: release, ...without(state, 'waiting'), tickets, taken: mine, lock };
      });
      if (taken)
        return new HeldLock(
          this,
          this.#clock,
          token,
          sentAt,
          taken.inFlight !== release ? taken.inFlight : undefined,
        );
      ticket = await this.#queue({ release, ticket }, before, patience > 0 && this.#clock.now() < end);
      if (before.lock) onWait(before.lock);
      await this.#clock.sleep(POLL, signal);
    }
  }

  /**
   * Records that this release waits.
   * @returns its ticket
   */
  async #queue({ release, ticket }: Waiting, { lock }: StageState, isPatient: boolean): Promise<number> {
    let mine = ticket;
    const state = await this.#update((one) => {
      mine = ticket || (one.waiting?.release === release ? one.waiting.ticket : (one.tickets ?? 0) + 1);
      if (cameLater(one, mine)) return undefined;
      const isNoted = one.waiting?.release === release;
      if (isPatient)
        return isNoted
          ? undefined
          : { ...one, waiting: { release, ticket: mine }, tickets: Math.max(mine, one.tickets ?? 0) };
      return isNoted ? without(one, 'waiting') : undefined;
    });
    const now = state ?? (await this.state());
    if (cameLater(now, mine))
      throw superseded(release, now.waiting?.release ?? now.lock?.release ?? 'another release');
    if (isPatient) return mine;
    throw locked(lock, this.#clock.now());
  }

  /**
   * Takes the lock for a person, or waits for it. It supersedes no release that waits, and is superseded by none.
   * @throws ReleaseError locked at once when another person has the lock, or after `patience` ms
   */
  async hold({ owner, reason, patience, onWait, signal }: HoldRequest): Promise<Hold> {
    const token = randomUUID();
    const end = this.#clock.now() + patience;
    const vigil = new Vigil(this.#clock);
    for (;;) {
      signal?.throwIfAborted();
      const before = (await this.state()).lock;
      const stale = before && vigil.isStale(before) ? markOf(before) : undefined;
      const hold: Hold = { token, owner, reason, takenAt: this.#date() };
      const taken = await this.#update((state) => {
        const isFree = !state.lock || state.lock.token === token || markOf(state.lock) === stale;
        return isFree ? { ...state, lock: hold } : undefined;
      });
      if (taken) return hold;
      const now = this.#clock.now();
      if (now >= end || (before && isHold(before))) throw locked(before, now);
      if (before) onWait(before);
      await this.#clock.sleep(POLL, signal);
    }
  }

  /**
   * Takes the lock from its holder, whose release stays in flight. A living holder makes changes until it notices. So
   * this function asks the holder to give the lock up, and takes it only if no sign of life comes for a whole lease.
   * A hold has no process, and ends at once.
   * @returns the lock, or undefined if nobody had it
   */
  async breakLock({ isAtOnce, onWait, signal }: BreakRequest): Promise<Lock | Hold | undefined> {
    const { lock } = await this.state();
    if (!lock) return undefined;
    if (isHold(lock)) return (await this.withLock(lock.token, (one) => without(one, 'lock'))) && lock;
    await this.withLock(lock.token, (one) => ({
      ...one,
      lock: { ...lock, ...(one.lock as Lock), isRevoked: true },
    }));
    if (!isAtOnce) onWait(lock);
    const vigil = new Vigil(this.#clock);
    for (;;) {
      const { lock: now } = await this.state();
      if (now?.token !== lock.token) return lock;
      if (isAtOnce || vigil.isStale(now)) {
        const mark = markOf(now);
        await this.#update((one) =>
          one.lock && markOf(one.lock) === mark ? without(one, 'lock') : undefined,
        );
      } else {
        await this.#clock.sleep(POLL, signal);
      }
    }
  }

  /** Forgets the release in flight, so that the next release starts from what runs. */
  async forget(): Promise<string | undefined> {
    const { inFlight, lock } = await this.state();
    if (lock) throw new ReleaseError('locked', `${lock.owner} has the lock. Unlock the stage first.`);
    if (inFlight === undefined) return undefined;
    await this.#update((state) => {
      if (state.lock || state.inFlight !== inFlight) return undefined;
      return without(state, 'inFlight');
    });
    return inFlight;
  }

  /** @returns undefined when this token no longer holds the lock */
  async withLock(token: string, change: (state: StageState) => StageState): Promise<StageState | undefined> {
    return await this.#update((state) => (state.lock?.token === token ? change(state) : undefined));
  }

  #date(): string {
    return new Date(this.#clock.now()).toISOString();
  }

  beat(lock: Lock): Lock {
    return { ...lock, beat: lock.beat + 1, beatAt: this.#date() };
  }

  async #update(change: (state: StageState) => StageState | undefined): Promise<StageState | undefined> {
    const name = `${this.#prefix}stage.json`;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const stored = await this.#store.read(name);
      const next = change(stored ? JSON.parse(stored.text) : {});
      if (!next) return undefined;
      const text = `${JSON.stringify({ ...next, nonce: randomUUID() }, undefined, 2)}\n`;
      if ((await this.#write(name, text, stored?.version)) !== undefined) return next;
      await this.#clock.sleep(50 + Math.random() * 200);
    }
    throw new ReleaseError(
      'failed',
      `${this.place}stage.json is changed too often by other processes, so it could not be written. Try again later.`,
    );
  }

  /** If the answer to a write was lost, the stored text shows that the write succeeded. */
  async #write(name: string, text: string, version: string | undefined): Promise<string | undefined> {
    const written = await this.#store.write(name, text, version);
    if (written !== undefined) return written;
    const stored = await this.#store.read(name);
    return stored?.text === text ? stored.version : undefined;
  }

  #nameOf(id: string): string {
    return `${this.#prefix}releases/${id}.json`;
  }
}

function cameLater({ waiting, taken = 0 }: StageState, ticket: number): boolean {
  return Math.max(waiting?.ticket ?? 0, taken) > ticket;
}

export interface BreakRequest {
  /** true: its process is surely gone. A process that is alive after all may still finish a change. */
  readonly isAtOnce: boolean;
  /** Called once, when the holder has been asked. */
  readonly onWait: (lock: Lock) => void;
  readonly signal?: AbortSignal;
}

export interface LockRequest {
  readonly release: string;
  readonly owner: string;
  /** Milliseconds to wait; 0: do not wait. */
  readonly patience: number;
  readonly onWait: (lock: Lock | Hold) => void;
  readonly signal?: AbortSignal;
}

export interface HoldRequest extends Omit<LockRequest, 'release'> {
  readonly reason: string;
}
