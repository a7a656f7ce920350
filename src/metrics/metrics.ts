/**
 * Numbers on what the service does, for Prometheus. What happens is told to this as it happens; what is so at a moment is
 * looked at when somebody asks. The library and the meters are loaded when somebody first asks, since a start is not to
 * wait for them: until then what happened is noted, so that none of it is missing.
 */

import { poolsOf } from '../../container/capacity.ts';
import { type Events, isOfHealth, MISSED, type TransitionEvent } from '../../container/events.ts';
import type { ContainerId } from '../../container/identity.ts';
import type { Surroundings } from '../../container/surroundings.ts';
import type { ContainerView } from '../../container/view.ts';
import type { CallObserver } from '../../docker-engine/calls.ts';
import type { Outcome } from '../../host/heartbeats.ts';
import type { NoticeView } from '../../host/notices.ts';
import type { Holding, HoldingEvent } from '../../lifetime/holdings.ts';
import type { Page } from '../../lifetime/ledger.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Nodes } from '../../managed-nodes/nodes.ts';
import type { Alarm, Direction, UserConfigs } from '../../user-configs/user-configs.ts';
import type { Presence } from '../presence.ts';
import { pageIn, serviceFactsIn } from '../reporting.ts';
import type { Meters } from './definitions.ts';

/** A service, as far as it is looked at. */
export interface Watched {
  /** undefined until containers are hosted. */
  readonly hosting: { readonly tracker: WatchedTracker } | undefined;
  /** undefined where user configs are not kept. */
  readonly userConfigs: Pick<UserConfigs, 'waiting'> | undefined;
  /** With what a dead service left; undefined until the lock is held. */
  readonly presence: Pick<Presence, 'left'> | undefined;
  /** undefined where no feed names any. */
  readonly nodes?: Pick<Nodes, 'states'> | undefined;
  /** What EC2 says that it will do with this host. */
  readonly notices: readonly NoticeView[];
}

interface WatchedTracker {
  readonly host: Pick<Surroundings, 'ttys' | 'ports'>;
  list(): readonly { readonly view: Pick<ContainerView, 'state' | 'health'> }[];
}

type Note = (meters: Meters) => void;

/** Notes that wait for somebody to ask; with one more the meters are loaded all the same. */
const MOST_NOTES = 1000;

export class Metrics {
  /** Of Prometheus' text format. */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly #watched: Watched;
  readonly #now: () => number;
  #meters: Meters | undefined;
  #loading: Promise<Meters> | undefined;
  #notes: Note[] = [];
  /** When containers came to their states, by `now`; without those of which it is not known. */
  readonly #since = new Map<ContainerId, number>();
  readonly #notReleased = new WeakSet<Holding>();

  /** @param now milliseconds of a clock that is never set */
  constructor(watched: Watched, now = () => performance.now()) {
    this.#watched = watched;
    this.#now = now;
  }

  /** All numbers as they are, in Prometheus' text format. */
  async text(): Promise<string> {
    return await (await this.#load()).text();
  }

  /** For `Docker.open`. */
  readonly dockerCall: CallObserver = ({ call, milliseconds, isFailed }) =>
    this.#note(({ calls, callErrors }) => {
      calls.observe({ call }, milliseconds / 1000);
      if (isFailed) callErrors.inc({ call });
    });

  readonly heartbeat = (outcome: Outcome): void =>
    this.#note(({ heartbeats }) => heartbeats.inc({ outcome }));

  readonly configBytes = (direction: Direction, bytes: number): void =>
    this.#note(({ configBytes }) => configBytes.inc({ direction }, bytes));

  readonly configAlarm = (alarm: Alarm): void =>
    this.#note(({ configAlarms }) => configAlarms.inc({ alarm }));

  holding({ step, holding }: HoldingEvent): void {
    // A release is tried again each minute.
    if (step !== 'failed' || this.#notReleased.has(holding)) return;
    this.#notReleased.add(holding);
    this.#note(({ releasesFailed }) => releasesFailed.inc());
  }

  /** Hears of all transitions from now on, until the lifetime has come to the cleanups that are older than this. */
  async follow(lifetime: Lifetime, events: Events): Promise<void> {
    const over = new AbortController();
    await lifetime.defer('following containers', () => over.abort());
    void this.#follow(events, over.signal);
  }

  async #follow(events: Events, signal: AbortSignal): Promise<void> {
    for await (const event of events.follow(undefined, signal)) {
      if (event === MISSED) this.#since.clear();
      else if (!isOfHealth(event)) this.transition(event);
    }
  }

  transition({ from, code, container: { id, state } }: TransitionEvent): void {
    const now = this.#now();
    const since = this.#since.get(id);
    if (from && since !== undefined)
      this.#note(({ steps }) => steps.observe({ step: from }, (now - since) / 1000));
    if (state === 'ending') this.#note(({ ends }) => ends.inc({ code }));
    // It passes through states in no time that it was in for long.
    if (state === 'gone' || code === 'taken-over') this.#since.delete(id);
    else this.#since.set(id, now);
  }

  #note(note: Note): void {
    if (this.#meters) {
      note(this.#meters);
      return;
    }
    this.#notes.push(note);
    if (this.#notes.length === MOST_NOTES) this.#load().catch(() => {});
  }

  #load(): Promise<Meters> {
    this.#loading ??= this.#open();
    return this.#loading;
  }

  async #open(): Promise<Meters> {
    try {
      const { Meters } = await import('./definitions.ts');
      this.#meters = new Meters(levelsOf(this.#watched));
      for (const note of this.#notes) note(this.#meters);
      return this.#meters;
    } catch (error) {
      // Whoever asks next tries again.
      this.#loading = undefined;
      throw error;
    } finally {
      this.#notes = [];
    }
  }
}

function levelsOf(watched: Watched) {
  return {
    healths: () => watched.hosting?.tracker.list().map(({ view }) => view.health ?? {}) ?? [],
    states: () => watched.hosting?.tracker.list().map(({ view }) => view.state) ?? [],
    pools: () => (watched.hosting ? poolsOf(watched.hosting.tracker.host) : []),
    nodes: () => watched.nodes?.states ?? [],
    spool: () => watched.userConfigs?.waiting,
    predecessorDied: () => hasDied(watched.presence?.left ?? []),
    notices: () => watched.notices,
  };
}

/** Whether it is a death that left them: one that stopped, and could not release everything, leaves pages too. */
function hasDied(left: readonly Page[]): boolean {
  return pageIn(left) !== undefined && serviceFactsIn(left)?.wasRunning !== false;
}
