/** All containers that this host has at the moment, and who may be asked for by what. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { HostedContainer } from './container.ts';
import type { Claimed, Purpose } from './facts.ts';
import type { ContainerId } from './identity.ts';
import type { SetUp } from './set-up.ts';
import { type Cause, SERVICE_ENDS } from './state.ts';
import type { Surroundings } from './surroundings.ts';

/** Milliseconds for which Docker is asked whether containers have ended, before they are given up. */
const PATIENCE = 45_000;

export class Tracker {
  readonly host: Surroundings;
  readonly lifetime: Lifetime;
  readonly #containers = new Map<ContainerId, HostedContainer>();
  /** Aborts when those that cannot be proven gone must be given up. */
  readonly #patience = new AbortController();
  /** Why it takes no more. */
  #closed: 'service.draining' | 'service.stopping' | 'service.nodes_alone' | undefined;

  /** @param parent the lifetime in which containers may be made and must have ended */
  constructor(host: Surroundings, parent: Lifetime) {
    this.host = host;
    this.lifetime = parent.child('containers', { before: () => this.endAll(SERVICE_ENDS) });
  }

  list(): readonly HostedContainer[] {
    return [...this.#containers.values()];
  }

  has(id: ContainerId): boolean {
    return this.#containers.has(id);
  }

  byDockerId(id: DockerId): HostedContainer | undefined {
    return this.list().find((container) => container.dockerId === id);
  }

  /** The set-up of the container at an identifying host port. @throws {ServiceError} `container.unknown_port` */
  setUpAt(port: number): SetUp {
    // Not the one that has given the port back and is still ending.
    const setUp = this.list().find(
      (container) => container.identifyingPort === port && container.setUp,
    )?.setUp;
    if (!setUp) throw new ServiceError('container.unknown_port', { port });
    return setUp;
  }

  /**
   * The container of which `name` is the container id or docker id, or as many of its first digits as no other one has.
   * @throws {ServiceError} `container.unknown`, `container.ambiguous`
   */
  named(name: string): HostedContainer {
    const [container, ...others] = this.list().filter((one) => isNamed(one, name));
    if (!container) throw new ServiceError('container.unknown', { name });
    if (others.length > 0) throw new ServiceError('container.ambiguous', { name });
    return container;
  }

  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** @throws {ServiceError} `service.draining`, `service.stopping` when it takes no more */
  throwIfClosed(): void {
    if (this.#closed) throw new ServiceError(this.#closed, {});
  }

  /** Begins a container; it is known here until it has ended. @throws {ServiceError} as `throwIfClosed` */
  begin(purpose: Purpose): HostedContainer {
    this.throwIfClosed();
    return this.#track(purpose);
  }

  /** Goes on with one that a dead service left. */
  async adopt(claimed: Claimed): Promise<HostedContainer> {
    const container = this.#track(claimed, claimed.id);
    await container.adopt(claimed);
    return container;
  }

  #track(purpose: Purpose, id?: ContainerId): HostedContainer {
    const container = new HostedContainer(this.host, purpose, this.lifetime, this.#patience.signal, id);
    this.#containers.set(container.id, container);
    void container.gone.then(() => this.#containers.delete(container.id));
    return container;
  }

  /** Takes no more. Resolves when the last one is gone. */
  async drain(): Promise<void> {
    this.#closed ??= 'service.draining';
    while (this.#containers.size > 0) await Promise.all(this.list().map(({ gone }) => gone));
  }

  /** Takes none, ever. */
  refuse(): void {
    this.#closed = 'service.nodes_alone';
  }

  /** Takes some again, unless the service stops. */
  reopen(): void {
    if (this.#closed === 'service.draining') this.#closed = undefined;
  }

  /** Ends all, side by side, and takes no more. What cannot be ended in time is reported by its lifetime's end. */
  async endAll(cause: Cause): Promise<void> {
    await this.#end(this.list(), cause);
  }

  /** Ends those that nobody has claimed, side by side, and takes no more. @returns the others */
  async endUnclaimed(cause: Cause): Promise<readonly HostedContainer[]> {
    const { claimed = [], others = [] } = Object.groupBy(this.list(), ({ isClaimed }) =>
      isClaimed ? 'claimed' : 'others',
    );
    await this.#end(others, cause);
    return claimed;
  }

  async #end(containers: readonly HostedContainer[], cause: Cause): Promise<void> {
    this.#closed = 'service.stopping';
    const timer = setTimeout(() => this.#patience.abort(), PATIENCE);
    await Promise.allSettled(containers.map((container) => container.end(cause)));
    clearTimeout(timer);
  }
}

/** Whether its container id or docker id begins so. */
export function isNamed({ id, dockerId }: HostedContainer, beginning: string): boolean {
  return id.startsWith(beginning) || (dockerId?.startsWith(beginning) ?? false);
}
