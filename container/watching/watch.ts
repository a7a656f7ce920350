/**
 * Follows Docker's events about this host's containers. Each time the event stream is opened, all containers are
 * listed, so that a death during a gap is noticed and stray containers are removed.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { messageOf } from '../../errors/service-error.ts';
import { type Backoff, backoff } from '../../lifetime/backoff.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { HostedContainer } from '../container.ts';
import type { Hosted, HostedEvent } from '../hosted-docker.ts';
import type { ContainerId } from '../identity.ts';
import type { KeptContainers } from '../kept-containers.ts';
import type { Cause } from '../state.ts';
import type { Tracker } from '../tracker.ts';
import { Strays } from './strays.ts';

/** The pause before the stream is reopened. */
const PAUSE: Backoff = { shortest: 50, longest: 2_000 };
/**
 * The seconds of past events that are requested at first. After Docker has reported the end of a container, it still
 * lists it as running for a while.
 */
const TOLD_BEFORE = 60;
/** The exit code of a container whose program was killed. */
const KILLED = '137';
const REMOVED: Cause = { code: 'removed', text: 'it was removed' };

export class Watch {
  readonly #tracker: Tracker;
  readonly #kept: KeptContainers;
  readonly #strays: Strays;
  readonly #signal: AbortSignal;
  readonly #listed = Promise.withResolvers<void>();
  /** Containers whose end Docker has reported. Their removal, which follows, is not the cause of their end. */
  readonly #dying = new WeakSet<HostedContainer>();
  #isHeard = false;
  /** Why the stream is interrupted, once that was logged. */
  #silence: string | undefined;
  #failures = 0;
  /** Unix time in whole seconds. */
  #since = Math.floor(Date.now() / 1000) - TOLD_BEFORE;

  private constructor(tracker: Tracker, kept: KeptContainers, signal: AbortSignal) {
    this.#tracker = tracker;
    this.#kept = kept;
    this.#strays = new Strays(tracker, kept);
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#listed.reject(signal.reason));
  }

  /** Watches until the lifetime ends. Resolves after the first listing, when stray containers have been removed. */
  static async open(lifetime: Lifetime, tracker: Tracker, kept: KeptContainers): Promise<Watch> {
    const watch = new Watch(tracker, kept, lifetime.signal);
    void lifetime.track('watching Docker', watch.#run());
    await watch.#listed.promise;
    return watch;
  }

  /** Why the stream is interrupted; undefined while it is open. */
  get silence(): string | undefined {
    return this.#isHeard ? undefined : (this.#silence ?? 'its event stream is being opened');
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      const stream = new AbortController();
      try {
        await this.#follow(AbortSignal.any([this.#signal, stream.signal]));
      } catch (error) {
        this.#lost(messageOf(error));
      } finally {
        this.#isHeard = false;
        stream.abort();
      }
      const milliseconds = backoff(this.#failures++, PAUSE);
      await pause(milliseconds, undefined, { signal: this.#signal }).catch(() => {});
    }
  }

  #lost(why: string): void {
    const first = this.#silence === undefined;
    this.#silence = why;
    if (first && !this.#signal.aborted) this.#tracker.host.log.warn({ why }, "lost Docker's event stream");
  }

  #heard(): void {
    if (this.#silence !== undefined) this.#tracker.host.log.info('Docker is back');
    this.#silence = undefined;
    this.#isHeard = true;
    this.#failures = 0;
    this.#listed.resolve();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { docker, hostId } = this.#tracker.host;
    const events = await docker.hostedEvents(hostId, this.#since, signal);
    // Taken before the list, because containers that are created meanwhile may be missing in the list.
    const made = this.#tracker.list().filter(({ dockerId }) => dockerId);
    const serving = new Set(made.filter(({ setUp }) => setUp));
    const listed = await docker.hosted(hostId);
    this.#endMissing(made, serving, listed);
    // Strays must be removed before new containers are hosted, because a stray may run with a console that would be
    // reused.
    await Promise.all(listed.map((one) => this.#strays.removeIfStray(one)));
    this.#heard();
    for await (const event of events) {
      // In whole seconds, so events are repeated after a gap; repeated events have no effect.
      this.#since = event.time;
      this.#handle(event);
    }
  }

  #endMissing(
    made: readonly HostedContainer[],
    serving: ReadonlySet<HostedContainer>,
    listed: readonly Hosted[],
  ): void {
    const states = new Map(listed.map(({ dockerId, state }) => [dockerId, state]));
    for (const container of made) {
      const state = (container.dockerId && states.get(container.dockerId)) ?? 'not there';
      if (state === 'running' || state === 'paused') continue;
      if (state === 'created' && !serving.has(container)) continue;
      this.#react('ending a container', container.id, () =>
        container.end({ code: 'missing', text: `${state} in Docker's list of containers` }),
      );
    }
  }

  #handle({ action, dockerId, containerId, exitCode }: HostedEvent): void {
    const container = this.#tracker.byDockerId(dockerId);
    if (action === 'create') {
      this.#react('removing a stray container', containerId, () =>
        this.#strays.removeIfStray({ dockerId, containerId }),
      );
    } else if (action === 'start') {
      this.#react('ending a container that was started again', containerId, () =>
        this.#strays.removeIfRevived({ dockerId, containerId }),
      );
    } else if (container && !this.#dying.has(container)) {
      if (action === 'die') this.#dying.add(container);
      this.#react('ending a container', containerId, async () =>
        container.end(action === 'die' ? await this.#causeOf(dockerId, exitCode) : REMOVED),
      );
    }
    if (action === 'destroy')
      this.#react('forgetting a removed container', containerId, () => this.#kept.remove(dockerId));
  }

  async #causeOf(dockerId: DockerId, exitCode: string | undefined): Promise<Cause> {
    const text = `it ended with code ${exitCode}`;
    const { docker } = this.#tracker.host;
    const found = exitCode === KILLED ? await docker.inspect(dockerId).catch(() => undefined) : undefined;
    const why = ': it had used up its memory, and the kernel killed a program in it (OOMKilled)';
    return { code: 'exited', text: found?.lackedMemory ? `${text}${why}` : text };
  }

  /** Handles an event without blocking the following ones. */
  #react(what: string, container: ContainerId | undefined, work: () => Promise<void>): void {
    const { log } = this.#tracker.host;
    const done = work().catch((error: unknown) => log.error({ error, container }, `${what} failed`));
    void this.#tracker.lifetime.track(what, done);
  }
}
