/**
 * Removes stray Docker containers: containers with this host's label that are not tracked. A create call without an
 * answer or a crashed service left them, or a client started them again after their end. Their ports and console may
 * belong to other containers by now.
 */

import type { Inspected } from '../../docker-engine/answers.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { removeLeftOf } from '../after-death/left-behind.ts';
import type { ContainerId } from '../identity.ts';
import type { KeptContainers } from '../kept-containers.ts';
import { isHostedOn, isLeftToMaker, roleOf } from '../labels.ts';
import { removeRevived } from '../proven-gone.ts';
import type { Tracker } from '../tracker.ts';

/** What is known about a container that is found. */
export interface Found {
  readonly dockerId: DockerId;
  readonly containerId: ContainerId | undefined;
}

export class Strays {
  readonly #tracker: Tracker;
  readonly #kept: KeptContainers;

  constructor(tracker: Tracker, kept: KeptContainers) {
    this.#tracker = tracker;
    this.#kept = kept;
  }

  /** Removes an untracked container and its directories. */
  async removeIfStray({ dockerId, containerId }: Found): Promise<void> {
    const { docker, log } = this.#tracker.host;
    if (containerId && this.#tracker.has(containerId)) return;
    const found = await docker.inspect(dockerId);
    if (!found || !this.#isOurs(found)) return;
    if (this.#kept.has(dockerId) && !found.running) return;
    if (isLeftToMaker(roleOf(found.labels), found.status)) return;
    await docker.remove(dockerId);
    if (containerId) await removeLeftOf(this.#tracker.host, containerId);
    log.warn({ container: containerId, dockerId, state: found.status }, 'removed an untracked container');
  }

  /** Removes a container that was started after its end. */
  async removeIfRevived({ dockerId, containerId }: Found): Promise<void> {
    const { docker } = this.#tracker.host;
    if (this.#tracker.byDockerId(dockerId)) return;
    const found = await docker.inspect(dockerId);
    if (!found?.running || !this.#isOurs(found)) return;
    await removeRevived(this.#tracker.host, containerId, dockerId);
  }

  /** Containers that this service has let go of belong to the next one. */
  #isOurs({ labels }: Inspected): boolean {
    return isHostedOn(labels, this.#tracker.host.hostId) && !this.#tracker.hasLetGo;
  }
}
