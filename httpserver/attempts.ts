/**
 * Counts the attempts of each network address that were wrong or that nothing proves yet, so that one which
 * makes many can fill neither the log nor a container's memory. What proves itself is always let through.
 */

/** Wrong or unproven attempts of an address that get an answer of their own within a window, in milliseconds. */
export const MOST_ATTEMPTS = 20;
export const WINDOW = 60_000;
/** How many addresses are remembered; beyond that the longest known is forgotten. */
const MOST_ADDRESSES = 1024;

export class Attempts {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; until: number }>();

  /** @param now a clock in milliseconds that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts a wrong attempt. @returns how many this address has made in the current window */
  count(address: string): number {
    let entry = this.#current(address);
    if (!entry) {
      entry = { count: 0, until: this.#now() + WINDOW };
      this.#forgetOldest();
      this.#counts.set(address, entry);
    }
    entry.count += 1;
    return entry.count;
  }

  areLeft(address: string): boolean {
    return (this.#current(address)?.count ?? 0) < MOST_ATTEMPTS;
  }

  #current(address: string): { count: number; until: number } | undefined {
    const entry = this.#counts.get(address);
    if (entry && entry.until > this.#now()) return entry;
    this.#counts.delete(address);
    return undefined;
  }

  #forgetOldest(): void {
    const [oldest] = this.#counts.keys();
    if (oldest !== undefined && this.#counts.size >= MOST_ADDRESSES) this.#counts.delete(oldest);
  }
}
