/**
 * The table of who holds what. Every resource enters it before it is taken and leaves it after it was
 * seen gone, so what is in the table when everything has ended is a leak, by name.
 */

/** Whose a resource is: a part of the service by its kind, and by its id where there are many of the kind. */
export interface Owner {
  readonly kind: string;
  readonly id?: string;
}

/** One resource that is being taken, held, or released. */
export interface Holding {
  /** What sort of resource: `port`, `tty`, `directory`, … */
  readonly kind: string;
  /** Which one, in words that find it on the host: `tcp 32262`, a path, an id. */
  readonly what: string;
  readonly owner: Owner;
  /** The name of the lifetime that holds it, for people. */
  readonly lifetime: string;
  takenAt?: Date;
}

/** What happened to a holding; `gone` says how that was seen, `failed` why it is still in the table. */
export type HoldingEvent =
  | { readonly step: 'taking' | 'taken' | 'releasing'; readonly holding: Holding }
  | { readonly step: 'not taken' | 'failed'; readonly holding: Holding; readonly error: unknown }
  | { readonly step: 'gone'; readonly holding: Holding; readonly seen: string };

/** Is told each step before the next one begins; what it throws while `taking` prevents the taking. */
export type HoldingObserver = (event: HoldingEvent) => void | Promise<void>;

export class Holdings {
  readonly #held = new Set<Holding>();
  readonly #failed = new Map<Holding, () => Promise<unknown>>();
  readonly #observe: HoldingObserver;

  constructor(observe: HoldingObserver = () => {}) {
    this.#observe = observe;
  }

  list(): readonly Holding[] {
    return [...this.#held];
  }

  async enter(holding: Holding): Promise<void> {
    await this.#observe({ step: 'taking', holding });
    this.#held.add(holding);
  }

  async taken(holding: Holding): Promise<void> {
    holding.takenAt = new Date();
    await this.#observe({ step: 'taken', holding });
  }

  async notTaken(holding: Holding, error: unknown): Promise<void> {
    this.#held.delete(holding);
    await this.#observe({ step: 'not taken', holding, error });
  }

  async releasing(holding: Holding): Promise<void> {
    await this.#observe({ step: 'releasing', holding });
  }

  async gone(holding: Holding, seen: string): Promise<void> {
    this.#held.delete(holding);
    this.#failed.delete(holding);
    await this.#observe({ step: 'gone', holding, seen });
  }

  /** It stays as it is, and is not this process's any more. */
  leave(holding: Holding): void {
    this.#held.delete(holding);
    this.#failed.delete(holding);
  }

  /** Whether something could not be released, and is held still. */
  get hasFailed(): boolean {
    return this.#failed.size > 0;
  }

  /** @param again tries the release another time, and comes here again when it fails */
  async failed(holding: Holding, error: unknown, again: () => Promise<unknown>): Promise<void> {
    this.#failed.set(holding, again);
    await this.#observe({ step: 'failed', holding, error });
  }

  /**
   * Tries again to release what could not be released: what one lifetime holds in the order in which it failed, since
   * one release may wait for another. Never rejects: what fails again stays in the table.
   */
  async retry(): Promise<void> {
    const byLifetime = Map.groupBy(this.#failed, ([{ lifetime }]) => lifetime);
    const inTurn = async (failed: readonly (readonly [Holding, () => Promise<unknown>])[]) => {
      for (const [, again] of failed) await again().catch(() => {});
    };
    await Promise.all([...byLifetime.values()].map(inTurn));
  }
}
