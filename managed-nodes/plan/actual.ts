/**
 * The containers in Docker, by node, name and host port. So a decision about one node does not look at all other nodes,
 * and a plan for a thousand nodes takes no longer than a thousand plans for one.
 */

import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { HostPort, NodeContainer, Stranger } from './node-container.ts';

export class Actual {
  readonly strangers: readonly Stranger[];
  readonly #byId = new Map<DockerId, NodeContainer>();
  readonly #byNode = new Map<string, Set<DockerId>>();
  readonly #byPort = new Map<number, Set<DockerId>>();
  readonly #strangersByPort: ReadonlyMap<number, readonly Stranger[]>;
  readonly #strangersByName: ReadonlyMap<string, Stranger>;

  constructor(containers: Iterable<NodeContainer> = [], strangers: readonly Stranger[] = []) {
    this.strangers = strangers;
    this.#strangersByPort = byPort(strangers);
    this.#strangersByName = new Map(strangers.map((one) => [one.name, one]));
    for (const one of containers) this.put(one);
  }

  get containers(): NodeContainer[] {
    return [...this.#byId.values()];
  }

  /** The names of nodes that have a container. */
  get nodes(): Iterable<string> {
    return this.#byNode.keys();
  }

  get(id: DockerId): NodeContainer | undefined {
    return this.#byId.get(id);
  }

  of(node: string): NodeContainer[] {
    return this.#found(this.#byNode.get(node));
  }

  /** @returns the containers of nodes with a fixed host port of this number, whether they run or not */
  withPort(port: number): NodeContainer[] {
    return this.#found(this.#byPort.get(port));
  }

  strangersWithPort(port: number): readonly Stranger[] {
    return this.#strangersByPort.get(port) ?? [];
  }

  strangerNamed(name: string): Stranger | undefined {
    return this.#strangersByName.get(name);
  }

  /** Adds a container, or replaces the one with the same Docker id. */
  put(one: NodeContainer): void {
    this.delete(one.id);
    this.#byId.set(one.id, one);
    add(this.#byNode, one.node, one.id);
    for (const { port } of one.ports) add(this.#byPort, port, one.id);
  }

  delete(id: DockerId): void {
    const one = this.#byId.get(id);
    if (!one) return;
    this.#byId.delete(id);
    remove(this.#byNode, one.node, id);
    for (const { port } of one.ports) remove(this.#byPort, port, id);
  }

  copy(): Actual {
    return new Actual(this.#byId.values(), this.strangers);
  }

  #found(ids: Iterable<DockerId> = []): NodeContainer[] {
    return [...ids].flatMap((id) => this.#byId.get(id) ?? []);
  }
}

/** Groups items with ports by the number of each port. */
export function byPort<T extends { readonly ports: readonly HostPort[] }>(
  all: Iterable<T>,
): ReadonlyMap<number, readonly T[]> {
  const found = new Map<number, T[]>();
  for (const one of all) {
    for (const port of new Set(one.ports.map(({ port: number }) => number))) {
      const list = found.get(port);
      if (list) list.push(one);
      else found.set(port, [one]);
    }
  }
  return found;
}

function add<K>(map: Map<K, Set<DockerId>>, key: K, id: DockerId): void {
  const ids = map.get(key);
  if (ids) ids.add(id);
  else map.set(key, new Set([id]));
}

function remove<K>(map: Map<K, Set<DockerId>>, key: K, id: DockerId): void {
  const ids = map.get(key);
  ids?.delete(id);
  if (ids?.size === 0) map.delete(key);
}
