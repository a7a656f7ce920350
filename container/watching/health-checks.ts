/**
 * Checks the health of all containers regularly. It asks Docker once for all containers, and tests all their ports
 * together. It polls instead of following events, so that a container whose health changes all the time costs no more
 * than others.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import { knock } from '../../uinput-native/knock.ts';
import type { HostedContainer } from '../container.ts';
import { IDENTIFYING_PORT } from '../creation/create-body.ts';
import { Places } from '../place.ts';
import type { Tracker } from '../tracker.ts';

const PORT = Number.parseInt(IDENTIFYING_PORT, 10);

export class HealthChecks {
  readonly #tracker: Tracker;
  readonly #places: Places;

  private constructor(tracker: Tracker) {
    this.#tracker = tracker;
    this.#places = new Places(tracker.host.docker);
  }

  /** Checks until the lifetime ends. @param seconds between two checks */
  static open(lifetime: Lifetime, tracker: Tracker, seconds: number): void {
    const checks = new HealthChecks(tracker);
    void lifetime.track('looking at the health of containers', checks.#run(seconds, lifetime.signal));
  }

  async #run(seconds: number, signal: AbortSignal): Promise<void> {
    const wait = () => pause(1000 * seconds, true, { signal, ref: false }).catch(() => false);
    while (await wait()) {
      const serving = this.#tracker.list().filter(({ setUp }) => setUp);
      if (serving.length > 0) await Promise.all([this.#askDocker(), this.#knock(serving)].map(this.#logged));
    }
  }

  /** A failed check says nothing about a container. */
  readonly #logged = async (look: Promise<void>): Promise<void> => {
    await look.catch((error: unknown) => {
      this.#tracker.host.log.debug({ why: messageOf(error) }, 'cannot check the health of containers');
    });
  };

  async #askDocker(): Promise<void> {
    const { docker, hostId } = this.#tracker.host;
    for (const { dockerId, health } of await docker.hosted(hostId)) {
      const container = this.#tracker.byDockerId(dockerId);
      if (container?.setUp) container.health.check(health);
    }
  }

  async #knock(serving: readonly HostedContainer[]): Promise<void> {
    // A container that is not found, or that ends at this moment, must not affect the others.
    const found = await Promise.all(
      serving.map(async (container) => {
        return { container, place: await this.#places.of(container).catch(() => undefined) };
      }),
    );
    const doors = found.flatMap(({ container, place }) => {
      return place?.address ? [{ container, address: place.address }] : [];
    });
    const open = await knock(
      doors.map(({ address }) => address),
      PORT,
    );
    // Skips containers that have ended meanwhile.
    for (const [i, { container }] of doors.entries())
      if (container.setUp) container.health.port(open[i] ? 'open' : 'closed');
  }
}
