/**
 * Follows what Docker says about this host's containers. Each time the stream is opened, everything is listed
 * again, so that a death in a gap is found, and what nobody tracks any more is removed.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { removeDirectories } from './directories.ts';
import type { DockerEvent, Listed } from './docker.ts';
import type { KeptContainers } from './kept-containers.ts';
import type { Tracker } from './tracker.ts';

/** Milliseconds before the stream is opened again: at first, and at most. */
const SHORTEST_PAUSE = 50;
const LONGEST_PAUSE = 2_000;

/** Watches until the lifetime ends. Resolves when everything was listed for the first time. */
export async function watchDocker(lifetime: Lifetime, tracker: Tracker, kept: KeptContainers): Promise<void> {
  const { promise: listed, resolve } = Promise.withResolvers<void>();
  void lifetime.track('watching Docker', new Watch(tracker, kept, lifetime.signal).run(resolve));
  await Promise.race([listed, aborted(lifetime.signal)]);
}

class Watch {
  readonly #tracker: Tracker;
  readonly #kept: KeptContainers;
  readonly #signal: AbortSignal;
  #since: number | undefined;

  constructor(tracker: Tracker, kept: KeptContainers, signal: AbortSignal) {
    this.#tracker = tracker;
    this.#kept = kept;
    this.#signal = signal;
  }

  async run(listed: () => void): Promise<void> {
    const { log } = this.#tracker.host;
    let wait = SHORTEST_PAUSE;
    let silent = false;
    while (!this.#signal.aborted) {
      try {
        await this.#follow(() => {
          if (silent) log.info('Docker is back');
          silent = false;
          wait = SHORTEST_PAUSE;
          listed();
        });
      } catch (error) {
        if (!this.#signal.aborted && !silent)
          log.warn({ why: messageOf(error) }, "lost Docker's event stream");
        silent = true;
      }
      await pause(wait, undefined, { signal: this.#signal }).catch(() => {});
      wait = Math.min(2 * wait, LONGEST_PAUSE);
    }
  }

  async #follow(listed: () => void): Promise<void> {
    const { docker, hostId } = this.#tracker.host;
    const events = await docker.events(hostId, this.#since, this.#signal);
    this.#reconcile(await docker.list(hostId));
    listed();
    for await (const event of events) {
      // Whole seconds: what is told again after a gap is recognised as known.
      this.#since = event.time;
      this.#handle(event);
    }
  }

  #reconcile(listed: readonly Listed[]): void {
    const states = new Map(listed.map(({ dockerId, state }) => [dockerId, state]));
    for (const container of this.#tracker.list()) {
      if (!container.dockerId || !container.setUp) continue;
      const state = states.get(container.dockerId) ?? 'not there';
      if (state !== 'running' && state !== 'paused')
        this.#end(container, `found ${state} when Docker was listed`);
    }
    for (const one of listed) this.#removeStray(one);
  }

  #handle({ action, dockerId, exitCode }: DockerEvent): void {
    const container = this.#tracker.byDockerId(dockerId);
    if (action === 'start') {
      if (!container) this.#refuseRevival(dockerId);
      return;
    }
    if (container)
      this.#end(container, action === 'die' ? `it ended with code ${exitCode}` : 'it was removed');
    if (action === 'destroy') this.#run('forgetting a removed container', () => this.#kept.remove(dockerId));
  }

  #end(container: { end(cause: string): Promise<void> }, cause: string): void {
    this.#run('ending a container', () => container.end(cause));
  }

  /** What carries this host's label and is known to nobody was left by a call without an answer, or by a dead service. */
  #removeStray({ dockerId, containerId, state }: Listed): void {
    const { docker, paths, log } = this.#tracker.host;
    if ((containerId && this.#tracker.has(containerId)) || this.#kept.has(dockerId)) return;
    this.#run('removing a container that nobody tracks', async () => {
      await docker.remove(dockerId);
      if (containerId) await removeDirectories(paths, containerId);
      log.warn({ container: containerId, dockerId, state }, 'removed a container that nobody tracks');
    });
  }

  /** A container that is started again after its end would use ports and a console that are others' by now. */
  #refuseRevival(dockerId: DockerEvent['dockerId']): void {
    const { docker, log } = this.#tracker.host;
    this.#run('ending a container that was started again', async () => {
      if (!(await docker.inspect(dockerId))?.running) return;
      await docker.remove(dockerId);
      log.error({ dockerId }, 'removed a container that was started again after its end');
    });
  }

  #run(what: string, work: () => Promise<void>): void {
    const { log } = this.#tracker.host;
    const done = work().catch((error: unknown) => log.error({ error }, `${what} failed`));
    void this.#tracker.lifetime.track(what, done);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
