/**
 * Ends containers that wait in vain: that nobody has been assigned to, or that were assigned and never became ready.
 * How long each may wait is for a setting to say; without one it waits for ever.
 */

import { messageOf } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { HostedContainer } from '../container.ts';
import { isOfHealth, MISSED } from '../events.ts';
import type { ContainerId } from '../identity.ts';
import type { Cause, State } from '../state.ts';
import type { Tracker } from '../tracker.ts';
import type { ContainerView } from '../view.ts';

/** Seconds that a container may wait; undefined: for ever. */
export interface Patience {
  /** For a user. */
  readonly unclaimed: number | undefined;
  /** From then on, until it is ready. */
  readonly notReady: number | undefined;
}

export class Sweeps {
  readonly #tracker: Tracker;
  readonly #waits: Partial<Record<State, { readonly seconds: number; readonly cause: Cause }>>;
  readonly #timers = new Map<ContainerId, NodeJS.Timeout>();

  private constructor(tracker: Tracker, { unclaimed, notReady }: Patience) {
    this.#tracker = tracker;
    this.#waits = {
      ...(unclaimed !== undefined && {
        running: {
          seconds: unclaimed,
          cause: { code: 'unclaimed', text: `it was not assigned within ${unclaimed} s` },
        },
      }),
      ...(notReady !== undefined && {
        assigned: {
          seconds: notReady,
          cause: { code: 'never-ready', text: `it was assigned but not ready within ${notReady} s` },
        },
      }),
    };
  }

  /** Sweeps until the lifetime ends; containers that are there already wait from now on. */
  static open(lifetime: Lifetime, tracker: Tracker, patience: Patience): void {
    const sweeps = new Sweeps(tracker, patience);
    void lifetime.track('sweeping', sweeps.#run(lifetime.signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { events } = this.#tracker.host;
    const following = events.follow(undefined, signal);
    for (const { view } of this.#tracker.list()) this.#watch(view);
    for await (const event of following) {
      if (event === MISSED) for (const { view } of this.#tracker.list()) this.#watch(view);
      else if (!isOfHealth(event)) this.#watch(event.container);
    }
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  #watch({ id, state }: ContainerView): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    const wait = this.#waits[state];
    if (!wait) return;
    const timer = setTimeout(() => void this.#sweep(id, state, wait.cause), 1000 * wait.seconds);
    this.#timers.set(id, timer.unref());
  }

  async #sweep(id: ContainerId, state: State, cause: Cause): Promise<void> {
    this.#timers.delete(id);
    const container = this.#tracker.list().find((one) => one.id === id);
    // It may have gone on at this moment.
    if (container?.view.state === state) await sweep(this.#tracker, container, cause);
  }
}

/** Ends one that nobody needs. */
export async function sweep(tracker: Tracker, container: HostedContainer, cause: Cause): Promise<void> {
  try {
    await tracker.lifetime.track('sweeping a container', container.end(cause));
  } catch (error) {
    tracker.host.log.error(
      { error, container: container.id },
      `could not remove a container that is no longer needed: ${messageOf(error)}`,
    );
  }
}
