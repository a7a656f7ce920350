/**
 * The Docker containers that this service created. Each stays for ten minutes after its hosted container has ended, so
 * that its log can be read, and is then removed; or earlier, at the end of the service.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { statusOf } from '../docker-engine/failures.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { monotonic } from '../lifetime/monotonic.ts';
import type { CreateBody } from './creation/create-body.ts';
import type { HandedKept } from './handed-over.ts';
import type { HostedDocker } from './hosted-docker.ts';
import type { ContainerId } from './identity.ts';
import { removeUnanswered } from './unanswered.ts';

/** Milliseconds between the end of a hosted container and the removal of its Docker container. */
export const KEPT_AFTER_END = 10 * 60_000;
/** Milliseconds between checks whether another client has removed it. */
const BETWEEN_LOOKS = 200;

export class KeptContainers {
  readonly #docker: HostedDocker;
  readonly #hostId: string;
  readonly #parent: Lifetime;
  readonly #kept = new Map<DockerId, Lifetime>();
  /** When each is to be removed, by `monotonic`. */
  readonly #until = new Map<DockerId, HandedKept>();

  constructor(docker: HostedDocker, hostId: string, parent: Lifetime) {
    this.#docker = docker;
    this.#hostId = hostId;
    this.#parent = parent;
  }

  has(id: DockerId): boolean {
    return this.#kept.has(id);
  }

  /** @throws {ServiceError} `image.missing`, `docker.*` */
  make(containerId: ContainerId, body: CreateBody): Promise<DockerId> {
    return this.#hold(containerId, (signal) => this.#create(containerId, body, signal));
  }

  /** Keeps a container that a crashed service created. */
  async adopt(containerId: ContainerId, id: DockerId): Promise<void> {
    await this.#hold(containerId, () => id);
  }

  async #hold(
    containerId: ContainerId,
    take: (signal: AbortSignal) => DockerId | Promise<DockerId>,
  ): Promise<DockerId> {
    const lifetime = this.#parent.child(`docker container of ${containerId}`, {
      owner: { kind: 'docker container', id: containerId },
    });
    try {
      const id = await lifetime.acquire({
        kind: 'docker container',
        what: containerId,
        take,
        release: (id) => this.#docker.remove(id),
        seenGone: (id, signal) => this.#seenGone(id, signal),
        deadline: 30_000,
      });
      this.#kept.set(id, lifetime);
      return id;
    } catch (error) {
      await lifetime.end();
      throw error;
    }
  }

  /** Removes it now. */
  async remove(id: DockerId): Promise<void> {
    await this.#kept.get(id)?.end();
    this.#kept.delete(id);
    this.#until.delete(id);
  }

  /** The containers whose hosted containers have ended, for the next service. */
  get ended(): readonly HandedKept[] {
    return [...this.#until.values()].filter(({ dockerId }) => this.#kept.has(dockerId as DockerId));
  }

  /** Detaches from it, for the process that reads the ledger next. */
  async leave(id: DockerId): Promise<void> {
    await this.#kept.get(id)?.leave(new Error('the service dies'));
    this.#kept.delete(id);
  }

  /** Removes all in parallel. */
  async removeAll(): Promise<void> {
    await Promise.all([...this.#kept.keys()].map((id) => this.remove(id)));
  }

  /** Removes it after the given time. */
  removeLater(id: DockerId, milliseconds = KEPT_AFTER_END): void {
    const lifetime = this.#kept.get(id);
    if (!lifetime) return;
    const { id: containerId = '' } = lifetime.owner;
    this.#until.set(id, { id: containerId, dockerId: id, until: monotonic() + milliseconds });
    pause(milliseconds, undefined, { signal: lifetime.signal, ref: false }).then(
      () => this.remove(id),
      () => {}, // It was removed before.
    );
  }

  async #create(containerId: ContainerId, body: CreateBody, signal: AbortSignal): Promise<DockerId> {
    try {
      return await this.#docker.create(body, signal);
    } catch (error) {
      const image = body.Image ?? '';
      if (statusOf(error) === 404) throw new ServiceError('image.missing', { image }, { cause: error });
      if (statusOf(error) === 400)
        throw new ServiceError('create.refused', { why: messageOf(error) }, { cause: error });
      if (statusOf(error) === undefined) await removeUnanswered(this.#docker, this.#hostId, containerId);
      throw error;
    }
  }

  /** Another client may be removing it at this moment. */
  async #seenGone(id: DockerId, signal: AbortSignal): Promise<string> {
    while (await this.#docker.inspect(id)) await pause(BETWEEN_LOOKS, undefined, { signal });
    return 'Docker does not know it';
  }
}
