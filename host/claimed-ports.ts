/**
 * The host ports that managed nodes want. A hosted container gets none of them, also while the node does not run and the
 * port is free.
 */

export interface ClaimedPort {
  readonly port: number;
  readonly protocol: string;
}

export class ClaimedPorts {
  #claimed: ReadonlySet<string> = new Set();

  /** Replaces all claims. */
  claim(ports: Iterable<ClaimedPort>): void {
    this.#claimed = new Set([...ports].map(({ port, protocol }) => `${protocol} ${port}`));
  }

  has(protocol: string, port: number): boolean {
    return this.#claimed.has(`${protocol} ${port}`);
  }
}
