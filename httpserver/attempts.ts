/**
 * Counts the wrong or unproven attempts of each network address, so that an address with many of them can fill neither
 * the log nor a container's memory. Correct credentials are always accepted.
 */

/**
 * The number of wrong or unproven attempts of an address that are answered individually, and the time window for it in
 * milliseconds.
 */
export const MOST_ATTEMPTS = 20;
export const WINDOW = 60_000;
/** The number of addresses that are remembered; the oldest entry is dropped first. */
const MOST_ADDRESSES = 1024;

export class Attempts {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; until: number }>();

  /** @param now a monotonic clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts a wrong attempt. @returns the number of attempts of this address in the current window */
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
