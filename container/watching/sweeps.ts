/**
 * Ends containers that wait too long: those that are not assigned, and those that are assigned but do not become ready.
 * Settings limit both times; without a limit they may wait for ever.
 */

import { messageOf } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { HostedContainer } from '../container.ts';
import { isOfHealth, MISSED } from '../events.ts';
import type { ContainerId } from '../identity.ts';
import type { Cause, State } from '../state.ts';
import type { Tracker } from '../tracker.ts';
import type { ContainerView } from '../view.ts';

/** Time limits in seconds; undefined: no limit. */
export interface Patience {
  /** Until a user is assigned. */
  readonly unclaimed: number | undefined;
  /** From the assignment until it is ready. */
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

  /** Runs until the lifetime ends. The time of adopted containers continues to count. */
  static open(lifetime: Lifetime, tracker: Tracker, patience: Patience): void {
    const sweeps = new Sweeps(tracker, patience);
    void lifetime.track('sweeping', sweeps.#run(lifetime.signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { events } = this.#tracker.host;
    const following = events.follow(undefined, signal);
    for (const { view, course } of this.#tracker.list()) this.#watch(view, course.age);
    for await (const event of following) {
      if (event === MISSED)
        for (const { view, course } of this.#tracker.list()) this.#watch(view, course.age);
      else if (!isOfHealth(event)) this.#watch(event.container);
    }
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** @param age milliseconds since it entered its state */
  #watch({ id, state, pool }: ContainerView, age = 0): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    const wait = this.#waits[state];
    // A pool has its own age limit.
    if (!wait || pool !== undefined) return;
    const timer = setTimeout(() => void this.#sweep(id, state, wait.cause), 1000 * wait.seconds - age);
    this.#timers.set(id, timer.unref());
  }

  async #sweep(id: ContainerId, state: State, cause: Cause): Promise<void> {
    this.#timers.delete(id);
    const container = this.#tracker.list().find((one) => one.id === id);
    // It may have changed its state meanwhile.
    if (container?.view.state === state) await sweep(this.#tracker, container, cause);
  }
}

/** Ends a container that is no longer needed. */
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
