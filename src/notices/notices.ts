/**
 * Reacts to EC2's notices: reports them, stops accepting containers, saves users' files at once, and stops in time.
 * When a notice is withdrawn, its effects end, except for a stop.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Change, Given } from '../../host/notice-watch.ts';
import {
  keyOf,
  type NoticeAction,
  type NoticeCode,
  type NoticeKind,
  type NoticeView,
} from '../../host/notices.ts';
import type { Logger } from '../../logging/logger.ts';
import { LAST_LINES, type Load, REPORTS, SPARE, timeToStop } from './time-to-stop.ts';

/** Milliseconds between checks whether the stop must begin. */
const RECKONING = 500;
/** Milliseconds after the announced time at which a notice counts as overdue, and is ignored. */
const OVERDUE = 5 * 60_000;
const SOON = 5 * 60_000;

export interface NoticesOptions {
  readonly actions: Readonly<Record<NoticeKind, NoticeAction>>;
  readonly draining: { begin(kind: NoticeKind): void; end(kind: NoticeKind): void };
  readonly ending: { tell(at: string | undefined): void; checkpoint(): Promise<void> };
  readonly load: () => Load;
  /** Sends an event to followers. */
  readonly event: (code: NoticeCode, cause: string, view: NoticeView) => void;
  /** Begins the stop; may be called again. */
  readonly stop: () => void;
  readonly log: Logger;
  /** The clock of the notices, in milliseconds. */
  readonly clock?: () => number;
}

const CODES = { given: 'notice', changed: 'notice-changed', withdrawn: 'notice-withdrawn' } as const;

export class Notices {
  readonly #options: NoticesOptions;
  readonly #clock: () => number;
  readonly #given = new Map<string, Given>();

  constructor(options: NoticesOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** Milliseconds until the last heartbeat must be sent; undefined: EC2 does not take the host soon. */
  get left(): number | undefined {
    return this.#leftBefore(REPORTS);
  }

  /** Milliseconds that saves may take yet; undefined: as long as always, since EC2 does not take the host soon. */
  get leftToSave(): number | undefined {
    return this.#leftBefore(LAST_LINES);
  }

  #leftBefore(reports: number): number | undefined {
    const dues = this.#ending(({ notice: { kind } }) => kind === 'spot').flatMap(({ due }) => due ?? []);
    const left = Math.min(...dues) - this.#clock();
    return left > SOON ? undefined : Math.max(0, left - SPARE - reports);
  }

  get views(): readonly NoticeView[] {
    return [...this.#given.values()].map((given) => this.#view(given));
  }

  /** Checks the time until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#reckon();
      await pause(RECKONING, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Containers are hosted from now on, so earlier notices apply to them too. */
  hosting(): void {
    const { ending, event } = this.#options;
    for (const given of this.#given.values()) {
      const view = this.#view(given);
      event('notice', causeOf(view, 'given', this.#isOverdue(given)), view);
      if (this.#isUrgent(given)) void ending.checkpoint();
    }
  }

  /** To be called with each change. */
  heed({ is, given }: Change): void {
    const { log, ending, event } = this.#options;
    const { kind } = given.notice;
    const view = this.#view(given);
    if (is === 'withdrawn') this.#given.delete(keyOf(given.notice));
    else this.#given.set(keyOf(given.notice), given);
    const isOverdue = this.#isOverdue(given);
    const cause = causeOf(view, is, isOverdue);
    log.warn({ code: CODES[is], notice: view }, cause);
    event(CODES[is], cause, view);
    this.#drain(kind);
    ending.tell(this.#endsAt());
    if (is === 'given' && this.#isUrgent(given)) void ending.checkpoint();
    this.#reckon();
  }

  #drain(kind: NoticeKind): void {
    const { actions, draining } = this.#options;
    const isGiven = [...this.#given.values()].some(
      (one) => one.notice.kind === kind && !this.#isOverdue(one),
    );
    if (isGiven && actions[kind] !== 'tell') draining.begin(kind);
    else if (!isGiven) draining.end(kind);
  }

  /** If the host continues for hours, the regular checkpoints are enough. */
  #isUrgent(given: Given): boolean {
    const { kind } = given.notice;
    const action = this.#options.actions[kind];
    return (kind === 'spot' ? action !== 'tell' : action === 'end') && !this.#isOverdue(given);
  }

  /** Whether the announced time is long past and this host still exists. */
  #isOverdue({ notice, due }: Given): boolean {
    return notice.kind === 'spot' && due !== undefined && due < this.#clock() - OVERDUE;
  }

  /**
   * The earliest announced end of the host, from notices that make the service stop, and from any notice for a Spot
   * instance.
   */
  #endsAt(): string | undefined {
    const moments = this.#ending(({ notice: { kind } }) => kind === 'spot')
      .map((given) => this.#view(given).at ?? given.since)
      .sort();
    return moments[0];
  }

  #ending(isToo: (given: Given) => boolean = () => false): Given[] {
    const ends = (given: Given) => this.#options.actions[given.notice.kind] === 'end' || isToo(given);
    return [...this.#given.values()].filter((given) => ends(given) && !this.#isOverdue(given));
  }

  /** When EC2 will reclaim the host, by the clock; or now, if the service must stop at once. */
  #due(): number | undefined {
    const dues = this.#ending().map(({ due }) => due ?? Number.NEGATIVE_INFINITY);
    return dues.length === 0 ? undefined : Math.min(...dues);
  }

  #reckon(): void {
    const due = this.#due();
    if (due === undefined) return;
    if (this.#clock() >= due - timeToStop(this.#options.load())) this.#options.stop();
  }

  #view({ notice: { kind, what, at }, since }: Given): NoticeView {
    const action = this.#options.actions[kind];
    return { kind, what, ...(at !== undefined && { at: new Date(at).toISOString() }), since, action };
  }
}

const SAYS: Readonly<Record<NoticeKind, string>> = {
  spot: 'EC2 reclaims this Spot instance',
  rebalance: 'EC2 recommends replacing this Spot instance',
  'scale-in': 'Auto Scaling terminates this instance',
  maintenance: 'EC2 has scheduled maintenance of this instance',
};
const DOES: Readonly<Record<NoticeAction, string>> = {
  end: 'the service accepts no more containers, and stops in time',
  drain: 'the service accepts no more containers',
  tell: 'the service continues as before',
};

function causeOf({ kind, what, at, action }: NoticeView, is: Change['is'], isOverdue: boolean): string {
  const says = `${SAYS[kind]} (${what}${at ? ` at ${at}` : ''})`;
  if (is === 'withdrawn') return `withdrawn: ${says}`;
  return `${says}: ${isOverdue ? `its time is long past, so ${DOES.tell}` : DOES[action]}`;
}
