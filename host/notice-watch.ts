/**
 * Polls for EC2's notices every few seconds and reports changes. The reported times use a monotonic clock and are
 * computed with EC2's clock, because the clock of this host may be wrong.
 *
 * INVARIANTS
 * - A notice is reported once, again only if EC2 changes it, and once when EC2 withdraws it.
 * - A poll that fails, or that finds an unreadable item, changes nothing.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import type { Imds, Item } from './imds.ts';
import { keyOf, NOTICE_KINDS, type Notice, type NoticeKind, PATHS, readNotices } from './notices.ts';

/** Milliseconds between polls. */
const BETWEEN = 5000;
/**
 * Numbers of polls in a row: without a notice until it counts as withdrawn, and failed ones until a warning is logged.
 */
const ABSENCES = 2;
const FAILURES = 12;
/** In milliseconds. EC2 promises this much time before it reclaims a Spot instance. */
const SPOT_NOTICE = 120_000;
/** EC2 gives its time in whole seconds, so it can be up to one second later than stated. */
const SECOND = 1000;

export interface Given {
  readonly notice: Notice;
  /** Milliseconds of `clock`; undefined if EC2 gives no time. */
  readonly due: number | undefined;
  /** ISO 8601: when the notice was first seen, by this host's clock. */
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
  /** A monotonic clock, and milliseconds since 1970. */
  readonly clock?: () => number;
  readonly now?: () => number;
}

export class NoticeWatch {
  readonly #options: NoticeWatchOptions;
  readonly #clock: () => number;
  readonly #now: () => number;
  readonly #given = new Map<string, Given>();
  readonly #absences = new Map<string, number>();
  /** The unreadable text of each kind, so that it is logged once. */
  readonly #unread = new Map<NoticeKind, string>();
  #failures = 0;

  constructor(options: NoticeWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#now = options.now ?? Date.now;
  }

  /** The notices that are in effect. */
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
      if (this.#failures === FAILURES)
        log.warn({ why }, 'cannot read EC2 notices from the instance metadata');
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

  /** @returns undefined if it cannot be parsed */
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

  /** @param at the time of EC2's clock, if the answer had it */
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
