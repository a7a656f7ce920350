/**
 * Numbers about the service for Prometheus. Events are counted as they happen; other values are read on request. The
 * library and the meters are loaded at the first request, because the start must not wait for them. Until then, events
 * are noted, so that none is lost.
 */

import { poolsOf } from '../../container/capacity.ts';
import { type Events, isOfHealth, MISSED, type TransitionEvent } from '../../container/events.ts';
import type { ContainerId } from '../../container/identity.ts';
import { WARM } from '../../container/pool/pool-spec.ts';
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
import { History } from './history.ts';

/** The parts of a service that the metrics read. */
export interface Watched {
  /** undefined until containers are hosted. */
  readonly hosting: { readonly tracker: WatchedTracker } | undefined;
  /** undefined if user configs are not kept. */
  readonly userConfigs: Pick<UserConfigs, 'waiting'> | undefined;
  /** Includes what a crashed service left; undefined until the lock is held. */
  readonly presence: Pick<Presence, 'left'> | undefined;
  /** undefined if no feed is configured. */
  readonly nodes?: Pick<Nodes, 'states'> | undefined;
  /** The notices of EC2 about this host. */
  readonly notices: readonly NoticeView[];
}

interface WatchedTracker {
  readonly host: Pick<Surroundings, 'ttys' | 'ports' | 'gpus'>;
  list(): readonly { readonly view: Pick<ContainerView, 'state' | 'health' | 'pool'> }[];
}

type Note = (meters: Meters) => void;

/** The maximum number of notes before the first request; one more loads the meters. */
const MOST_NOTES = 1000;

export class Metrics {
  /** The content type of Prometheus' text format. */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly history: History;
  readonly #watched: Watched;
  readonly #now: () => number;
  #meters: Meters | undefined;
  #loading: Promise<Meters> | undefined;
  #notes: Note[] = [];
  /** When containers entered their states, by `now`; only if known. */
  readonly #since = new Map<ContainerId, number>();
  readonly #notReleased = new WeakSet<Holding>();

  /** @param now milliseconds of a monotonic clock */
  constructor(watched: Watched, now = () => performance.now()) {
    this.#watched = watched;
    const { spool, predecessorDied, states } = levelsOf(watched);
    this.history = new History({ containers: () => states().length, spool, predecessorDied });
    this.#now = now;
  }

  /** All values in Prometheus' text format. */
  async text(): Promise<string> {
    return await (await this.#load()).text();
  }

  /** Pass it to `Docker.open`. */
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

  readonly poolClaim = (result: 'warm' | 'cold'): void =>
    this.#note(({ poolClaims }) => poolClaims.inc({ result }));

  holding({ step, holding }: HoldingEvent): void {
    // A failed release is retried each minute, but counted once.
    if (step !== 'failed' || this.#notReleased.has(holding)) return;
    this.#notReleased.add(holding);
    this.history.notReleased();
    this.#note(({ releasesFailed }) => releasesFailed.inc());
  }

  /** Counts all transitions from now on, until the lifetime reaches the cleanups that are older than this. */
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
    if (state === 'ending') {
      this.history.ending(code);
      this.#note(({ ends }) => ends.inc({ code }));
    }
    // The time in the states that it passes at an adoption is unknown.
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
      // The next request tries again.
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
    states: () =>
      watched.hosting?.tracker.list().map(({ view }) => (view.pool === undefined ? view.state : WARM)) ?? [],
    pools: () => (watched.hosting ? poolsOf(watched.hosting.tracker.host) : []),
    nodes: () => watched.nodes?.states ?? [],
    spool: () => watched.userConfigs?.waiting,
    predecessorDied: () => hasDied(watched.presence?.left ?? []),
    notices: () => watched.notices,
  };
}

/** Whether a crash left the pages. A stopped service that could not release everything leaves pages too. */
function hasDied(left: readonly Page[]): boolean {
  return pageIn(left) !== undefined && serviceFactsIn(left)?.wasRunning !== false;
}
