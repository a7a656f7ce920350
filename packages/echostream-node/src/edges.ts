/**
 * What a node has for each of its edges: a source for those over which it receives, a target for those over which it sends.
 * The edges of a node change while it runs.
 */

export interface NamedEdge {
  /** The name of the node at the other end. */
  readonly name: string;
  /** The URL of the edge's queue. */
  readonly queue: string;
}

export interface EdgesOptions<T> {
  readonly make: (edge: NamedEdge) => T;
  /** Ends the source or the target of an edge. Resolves when it has nothing left to do. */
  readonly leave: (one: T) => Promise<void>;
}

export class Edges<T> {
  readonly #options: EdgesOptions<T>;
  readonly #queues = new Map<string, string>();
  readonly #all = new Map<string, T>();
  readonly #leaving = new Map<T, Promise<void>>();

  constructor(options: EdgesOptions<T>) {
    this.#options = options;
  }

  /** By the names of the nodes at the other ends. */
  get all(): ReadonlyMap<string, T> {
    return this.#all;
  }

  /** Those of edges that exist, and those of removed edges that still have something to do. */
  get living(): readonly T[] {
    return [...this.#all.values(), ...this.#leaving.keys()];
  }

  /** Creates what new edges need, and ends what removed ones had. An edge whose queue has changed counts as new. */
  follow(edges: readonly NamedEdge[]): void {
    for (const [name, one] of this.#all) {
      if (!edges.some((edge) => edge.name === name && edge.queue === this.#queues.get(name))) {
        this.#leave(name, one);
      }
    }
    for (const edge of edges) {
      if (this.#all.has(edge.name)) continue;
      this.#queues.set(edge.name, edge.queue);
      this.#all.set(edge.name, this.#options.make(edge));
    }
  }

  /** Resolves when the sources and targets of removed edges have ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#leaving.values());
  }

  #leave(name: string, one: T): void {
    this.#all.delete(name);
    const left = this.#options.leave(one).finally(() => this.#leaving.delete(one));
    this.#leaving.set(one, left);
  }
}
