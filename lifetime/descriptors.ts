/**
 * Open descriptors that a hand-over passes from one process of the service to the next: listening sockets, input
 * devices, and connections. Whoever opens one offers it under a name. The next process takes it by the same name instead
 * of opening another.
 */

import type { Socket } from 'node:net';

/** Where descriptors wait between two processes. */
export interface Store {
  /** @throws Error when they cannot be stored */
  put(descriptors: ReadonlyMap<string, number>): void;
  /** @throws Error when it cannot be reached */
  remove(name: string): void;
}

const NO_STORE: Store = {
  put: () => {
    throw new Error('there is no descriptor store');
  },
  remove: () => {},
};

export class Descriptors {
  readonly #store: Store;
  readonly #received: Map<string, number>;
  readonly #offered = new Map<string, number>();

  /** @param received what the previous process passed on, by name */
  constructor(received: Iterable<readonly [string, number]> = [], store = NO_STORE) {
    this.#received = new Map(received);
    this.#store = store;
  }

  /** The descriptors for the next process. They stay open in this process. */
  get offered(): ReadonlyMap<string, number> {
    return this.#offered;
  }

  /** Whether the previous process passed it on and nobody has taken it yet. */
  has(name: string): boolean {
    return this.#received.has(name);
  }

  /**
   * Takes what the previous process passed on. The caller closes it.
   * @returns undefined if there is none, or if another caller has taken it
   */
  take(name: string): number | undefined {
    const descriptor = this.#received.get(name);
    this.#received.delete(name);
    return descriptor;
  }

  /**
   * Takes all descriptors whose names begin like this, and removes them from the store. A later process gets them only if
   * this one passes them on.
   * @throws Error when the store cannot be reached
   */
  takeAll(beginning: string): number[] {
    return [...this.#received.keys()]
      .filter((name) => name.startsWith(beginning))
      .map((name) => {
        this.#store.remove(name);
        return this.take(name) as number;
      });
  }

  /** Takes the descriptors that nobody has asked for. */
  takeRest(): number[] {
    const rest = [...this.#received.values()];
    this.#received.clear();
    return rest;
  }

  /** @param name up to 79 printable ASCII characters without a colon */
  offer(name: string, descriptor: number): void {
    this.#offered.set(name, descriptor);
  }

  /** Stores it at once, so that the caller can close it. @param name as for `offer` @throws Error when that fails */
  passOn(name: string, descriptor: number): void {
    this.#store.put(new Map([[name, descriptor]]));
    this.offer(name, descriptor);
  }

  /** To be called before the descriptor is closed. */
  withdraw(name: string): void {
    this.#offered.delete(name);
  }
}

/** A part of Node that is not public. */
interface Inner {
  readonly _handle: {
    readonly fd: number;
    /** Includes bytes that still wait in the handle. */
    readonly bytesWritten: number;
    readonly writeQueueSize: number;
  } | null;
}

/** The descriptor of a listening server, or of a socket, of Node. @throws Error when it is closed */
export function descriptorOf(open: object): number {
  const fd = (open as Inner)._handle?.fd ?? -1;
  if (fd < 0) throw new Error('it has no open descriptor');
  return fd;
}

/**
 * The number of bytes that were written to a socket and that the kernel has not accepted yet; 0 if the socket is
 * closed.
 */
export function unsentIn(socket: Socket): number {
  const { _handle: handle } = socket as unknown as Inner;
  // Node queues what is written while an earlier write is in progress.
  return handle ? socket.bytesWritten - handle.bytesWritten + handle.writeQueueSize : 0;
}
