/**
 * Open descriptors that a hand-over passes from one process of the service to the next: listening sockets and input
 * devices. Whoever opens one offers it under a name. The next process takes it by the same name instead of opening
 * another.
 */

export class Descriptors {
  readonly #received: Map<string, number>;
  readonly #offered = new Map<string, number>();

  /** @param received what the previous process has passed on, by name */
  constructor(received: Iterable<readonly [string, number]> = []) {
    this.#received = new Map(received);
  }

  /** What the next process can have. The descriptors stay open in this process. */
  get offered(): ReadonlyMap<string, number> {
    return this.#offered;
  }

  /**
   * Takes what the previous process has passed on. The caller closes it.
   * @returns undefined if there is none, or another caller has it
   */
  take(name: string): number | undefined {
    const descriptor = this.#received.get(name);
    this.#received.delete(name);
    return descriptor;
  }

  /** Takes the rest, which nobody has asked for. */
  takeRest(): number[] {
    const rest = [...this.#received.values()];
    this.#received.clear();
    return rest;
  }

  /** @param name up to 79 printable ASCII characters without a colon */
  offer(name: string, descriptor: number): void {
    this.#offered.set(name, descriptor);
  }

  /** To be called before the descriptor is closed. */
  withdraw(name: string): void {
    this.#offered.delete(name);
  }
}

interface Inner {
  readonly _handle: { readonly fd: number } | null;
}

/** The descriptor of a listening server, or of a socket, of Node. @throws Error when it is closed */
export function descriptorOf(open: object): number {
  // Node does not publish it.
  const fd = (open as Inner)._handle?.fd ?? -1;
  if (fd < 0) throw new Error('it has no open descriptor');
  return fd;
}
