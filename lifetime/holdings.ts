/**
 * The table of held resources. A resource enters it before it is taken and leaves it after it was observed to be gone.
 * Whatever is in the table after everything has ended is a leak.
 */

/** The owner of a resource: a part of the service, by its kind, plus an id if there are several of that kind. */
export interface Owner {
  readonly kind: string;
  readonly id?: string;
}

/** A resource that is being taken, held or released. */
export interface Holding {
  /** The kind of resource: `port`, `tty`, `directory`, … */
  readonly kind: string;
  /** The name that identifies it on the host: `tcp 32262`, a path, an id. */
  readonly what: string;
  readonly owner: Owner;
  /** The name of the lifetime that holds it, for people. */
  readonly lifetime: string;
  takenAt?: Date;
}

/** What happened to a holding. `gone` says how its end was observed, `failed` why it is still in the table. */
export type HoldingEvent =
  | { readonly step: 'taking' | 'taken' | 'releasing'; readonly holding: Holding }
  | { readonly step: 'not taken' | 'failed'; readonly holding: Holding; readonly error: unknown }
  | { readonly step: 'gone'; readonly holding: Holding; readonly seen: string };

/** Called with each step before the next one begins. If it throws at `taking`, the resource is not taken. */
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

  /** Removes the holding from the table without releasing it: another process takes it over. */
  leave(holding: Holding): void {
    this.#held.delete(holding);
  }

  /** Whether a release failed, so that the resource is still held. */
  get hasFailed(): boolean {
    return this.#failed.size > 0;
  }

  /** @param again retries the release, and calls this method again if that fails */
  async failed(holding: Holding, error: unknown, again: () => Promise<unknown>): Promise<void> {
    this.#failed.set(holding, again);
    await this.#observe({ step: 'failed', holding, error });
  }

  /**
   * Retries the failed releases. The holdings of one lifetime are retried in the order in which they failed, since one
   * release may depend on another. Never rejects: what fails again stays in the table.
   */
  async retry(): Promise<void> {
    const byLifetime = Map.groupBy(this.#failed, ([{ lifetime }]) => lifetime);
    const inTurn = async (failed: readonly (readonly [Holding, () => Promise<unknown>])[]) => {
      for (const [, again] of failed) await again().catch(() => {});
    };
    await Promise.all([...byLifetime.values()].map(inTurn));
  }
}
