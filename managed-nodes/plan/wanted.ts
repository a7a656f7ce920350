/** Holds the nodes that a feed wants, and finds them by type and host port. */

import { byPort } from './actual.ts';
import { fixedPorts, type HostPort, type WantedNode } from './node-container.ts';

/** A node that must run, and its fixed host ports. */
interface Claim {
  readonly node: string;
  readonly ports: readonly HostPort[];
}

export class Wanted {
  /**
   * Nodes whose spec in the feed cannot be used, each with the reason. A node keeps its last usable spec, which is
   * among the wanted ones if the service knows it.
   */
  readonly unusable: ReadonlyMap<string, string>;
  readonly #nodes: ReadonlyMap<string, WantedNode>;
  readonly #canaries = new Map<string, string>();
  readonly #claims: ReadonlyMap<number, readonly Claim[]>;

  constructor(
    nodes: ReadonlyMap<string, WantedNode> = new Map(),
    unusable: ReadonlyMap<string, string> = new Map(),
  ) {
    this.unusable = unusable;
    this.#nodes = nodes;
    const running = [...nodes].filter(([, { spec }]) => !spec.stopped);
    for (const [name, { spec }] of running) {
      const key = groupOf(spec);
      const first = this.#canaries.get(key);
      if (first === undefined || name < first) this.#canaries.set(key, name);
    }
    this.#claims = byPort(running.map(([node, { spec }]) => ({ node, ports: fixedPorts(spec) })));
  }

  get(node: string): WantedNode | undefined {
    return this.#nodes.get(node);
  }

  /** The names of all nodes in the feed. */
  get names(): string[] {
    return [...this.#nodes.keys(), ...this.unusable.keys()];
  }

  get images(): ReadonlySet<string> {
    return new Set([...this.#nodes.values()].map(({ spec }) => spec.image));
  }

  /** The fixed host ports of each node that has any, even if the node is stopped. */
  get fixedPorts(): ReadonlyMap<string, readonly HostPort[]> {
    const all = [...this.#nodes].map(([node, { spec }]) => [node, fixedPorts(spec)] as const);
    return new Map(all.filter(([, ports]) => ports.length > 0));
  }

  /** @returns the first node by name that must run and has the same type and image */
  canaryOf(spec: WantedNode['spec']): string | undefined {
    return spec.type === undefined ? undefined : this.#canaries.get(groupOf(spec));
  }

  /** @returns the nodes that must run and want a fixed host port of this number */
  claimsOn(port: number): readonly Claim[] {
    return this.#claims.get(port) ?? [];
  }
}

function groupOf({ type, image }: WantedNode['spec']): string {
  return JSON.stringify([type, image]);
}
