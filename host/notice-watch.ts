/**
 * Looks every few seconds whether EC2 has given notice, and tells what changed. What is told has a moment on a clock
 * that is never set, reckoned by EC2's own: the clock of this host may be wrong.
 *
 * INVARIANTS
 * - A notice is told once, again only when EC2 says something else, and its withdrawal once.
 * - A look that fails, or finds what cannot be read, changes nothing.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { Imds, Item } from './imds.ts';
import { keyOf, NOTICE_KINDS, type Notice, type NoticeKind, PATHS, readNotices } from './notices.ts';

/** Milliseconds between looks. */
const BETWEEN = 5000;
/** Looks in a row: without a notice until it is withdrawn, and that fail until somebody is told. */
const ABSENCES = 2;
const FAILURES = 12;
/** Milliseconds after which EC2 takes a Spot instance, at most: what it promises. */
const SPOT_NOTICE = 120_000;
/** EC2 tells the time in seconds, of which the last may be nearly over. */
const SECOND = 1000;

export interface Given {
  readonly notice: Notice;
  /** Milliseconds of `clock`; undefined: EC2 does not say when. */
  readonly due: number | undefined;
  /** ISO 8601: when it was first seen, by this host's clock. */
  readonly since: string;
}

export interface Change {
  readonly is: 'given' | 'changed' | 'withdrawn';
  readonly given: Given;
}

export interface NoticeWatchOptions {
  readonly imds: Pick<Imds, 'find'>;
  readonly log: Logger;
  /** Must not throw. */
  readonly tell: (change: Change) => void;
  readonly between?: number;
  /** Milliseconds of a clock that is never set, and since 1970. */
  readonly clock?: () => number;
  readonly now?: () => number;
}

export class NoticeWatch {
  readonly #options: NoticeWatchOptions;
  readonly #clock: () => number;
  readonly #now: () => number;
  readonly #given = new Map<string, Given>();
  readonly #absences = new Map<string, number>();
  /** What could not be read, of each kind: it is told once. */
  readonly #unread = new Map<NoticeKind, string>();
  #failures = 0;

  constructor(options: NoticeWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#now = options.now ?? Date.now;
  }

  /** What stands at the moment. */
  get given(): readonly Given[] {
    return [...this.#given.values()];
  }

  async run(signal: AbortSignal): Promise<void> {
    const { between = BETWEEN } = this.#options;
    while (!signal.aborted) {
      await this.look(signal);
      await pause(between, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Never rejects. */
  async look(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const looks = await Promise.allSettled(NOTICE_KINDS.map((kind) => this.#lookFor(kind, signal)));
    if (signal.aborted) return;
    const failed = looks.find((one) => one.status === 'rejected');
    if (failed) {
      this.#failures += 1;
      const why = messageOf(failed.reason);
      if (this.#failures === FAILURES) log.warn({ why }, 'cannot read EC2 notices from the instance metadata');
      else log.debug({ why }, 'cannot read EC2 notices from the instance metadata');
      return;
    }
    if (this.#failures >= FAILURES) log.info('EC2 notices can be read again');
    this.#failures = 0;
  }

  async #lookFor(kind: NoticeKind, signal: AbortSignal): Promise<void> {
    const item = await this.#options.imds.find(PATHS[kind], signal);
    const found = item ? this.#read(kind, item) : [];
    if (!found) return;
    for (const notice of found) this.#see(notice, item?.at);
    const ids = new Set(found.map(keyOf));
    for (const [key, { notice }] of this.#given) if (notice.kind === kind && !ids.has(key)) this.#miss(key);
  }

  /** @returns undefined when it cannot be read */
  #read(kind: NoticeKind, { text }: Item): Notice[] | undefined {
    try {
      return readNotices(kind, text);
    } catch (error) {
      if (this.#unread.get(kind) === text) return undefined;
      this.#unread.set(kind, text);
      const why = messageOf(error);
      this.#options.log.warn({ kind, why }, 'ignored an EC2 notice that cannot be parsed');
      return undefined;
    }
  }

  /** @param at EC2's clock, if it was said */
  #see(notice: Notice, at: number | undefined): void {
    const key = keyOf(notice);
    this.#absences.delete(key);
    const before = this.#given.get(key);
    if (before?.notice.at === notice.at && before?.notice.what === notice.what) return;
    const since = before?.since ?? new Date(this.#now()).toISOString();
    const given = { notice, due: this.#dueOf(notice, at), since };
    this.#given.set(key, given);
    this.#options.tell({ is: before ? 'changed' : 'given', given });
  }

  #miss(key: string): void {
    const absences = (this.#absences.get(key) ?? 0) + 1;
    this.#absences.set(key, absences);
    const given = this.#given.get(key);
    if (absences < ABSENCES || !given) return;
    this.#given.delete(key);
    this.#absences.delete(key);
    this.#options.tell({ is: 'withdrawn', given });
  }

  #dueOf({ kind, at }: Notice, byEc2: number | undefined): number | undefined {
    const clock = this.#clock();
    const latest = clock + SPOT_NOTICE;
    if (at === undefined) return kind === 'spot' ? latest : undefined;
    if (byEc2 !== undefined) return clock + at - byEc2 - SECOND;
    const due = clock + at - this.#now();
    return kind === 'spot' ? Math.min(due, latest) : due;
  }
}
