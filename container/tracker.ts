/** All containers that this host has at the moment, and how to look them up. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { HostedContainer } from './container.ts';
import type { LeftContainer, Purpose } from './facts.ts';
import type { HandedContainer } from './handed-over.ts';
import type { ContainerId } from './identity.ts';
import type { SetUp } from './set-up.ts';
import { type Cause, SERVICE_ENDS } from './state.ts';
import type { Surroundings } from './surroundings.ts';

/** The time limit in milliseconds for Docker to confirm that containers have ended. */
const PATIENCE = 45_000;

export class Tracker {
  readonly host: Surroundings;
  readonly lifetime: Lifetime;
  readonly #containers = new Map<ContainerId, HostedContainer>();
  /** Aborts when containers that cannot be proven gone must be given up. */
  readonly #patience = new AbortController();
  /** Why it accepts no more containers. */
  #closed: 'service.draining' | 'service.stopping' | 'service.nodes_alone' | undefined;
  #opening: () => void = () => {};
  #hasLetGo = false;

  /** @param parent the lifetime of all containers */
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

  byId(id: ContainerId): HostedContainer | undefined {
    return this.#containers.get(id);
  }

  byDockerId(id: DockerId): HostedContainer | undefined {
    return this.list().find((container) => container.dockerId === id);
  }

  /** The set-up of the container with this identifying host port. @throws {ServiceError} `container.unknown_port` */
  setUpAt(port: number): SetUp {
    // Skips a container that has released the port and is still ending.
    const setUp = this.list().find(
      (container) => container.identifyingPort === port && container.setUp,
    )?.setUp;
    if (!setUp) throw new ServiceError('container.unknown_port', { port });
    return setUp;
  }

  /**
   * Finds a container by its container id, its docker id, or the beginning of one if that is unique.
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

  /** @param told called when it starts or stops draining */
  onOpening(told: () => void): void {
    this.#opening = told;
  }

  /** @throws {ServiceError} `service.draining`, `service.stopping` if it accepts no more containers */
  throwIfClosed(): void {
    if (this.#closed) throw new ServiceError(this.#closed, {});
  }

  /** Begins a container, which is tracked until it has ended. @throws {ServiceError} as `throwIfClosed` */
  begin(purpose: Purpose): HostedContainer {
    this.throwIfClosed();
    return this.#track(purpose);
  }

  /** Adopts a container that another service left. */
  async adopt(left: LeftContainer): Promise<HostedContainer> {
    const container = this.#track(left, left.id, left.handed);
    await container.adopt(left);
    return container;
  }

  #track(purpose: Purpose, id?: ContainerId, handed?: HandedContainer): HostedContainer {
    const patience = this.#patience.signal;
    const container = new HostedContainer(this.host, purpose, this.lifetime, patience, id, handed);
    this.#containers.set(container.id, container);
    void container.gone.then(() => this.#containers.delete(container.id));
    return container;
  }

  /** Stops accepting containers. Resolves when the last one is gone. */
  async drain(): Promise<void> {
    this.#closed ??= 'service.draining';
    this.#opening();
    while (this.#containers.size > 0) await Promise.all(this.list().map(({ gone }) => gone));
  }

  /** Accepts no more containers, because the next service takes over the present ones. */
  handOver(): void {
    this.#closed = 'service.stopping';
  }

  /** To be called before containers are left to another process. */
  letGo(): void {
    this.#hasLetGo = true;
  }

  /** Whether another process may host containers of this host that are not tracked here. */
  get hasLetGo(): boolean {
    return this.#hasLetGo;
  }

  /** Accepts no more containers, for good. */
  refuse(): void {
    this.#closed = 'service.nodes_alone';
  }

  /** Accepts containers again, unless the service is stopping. */
  reopen(): void {
    if (this.#closed === 'service.draining') this.#closed = undefined;
    this.#opening();
  }

  /**
   * Ends all containers in parallel and accepts no more. The end of its lifetime reports a container that cannot be
   * ended in time.
   */
  async endAll(cause: Cause): Promise<void> {
    await this.#end(this.list(), cause);
  }

  /** Ends the unassigned containers in parallel and accepts no more. @returns the other containers */
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

/** Whether its container id or docker id starts with `beginning`. */
export function isNamed({ id, dockerId }: HostedContainer, beginning: string): boolean {
  return id.startsWith(beginning) || (dockerId?.startsWith(beginning) ?? false);
}
