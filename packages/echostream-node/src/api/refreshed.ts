/** A value that ends, such as a token: kept while it lasts, and fetched once however many ask for it. */

export interface Fetched<T> {
  readonly value: T;
  /** How long the value can be used from now on. */
  readonly milliseconds: number;
}

export class Refreshed<T> {
  readonly #fetch: () => Promise<Fetched<T>>;
  readonly #now: () => number;
  #kept: { readonly value: T; readonly end: number } | undefined;
  #fetching: Promise<T> | undefined;

  /** `now` is the time of day, because a process can sleep while the value ages. */
  constructor(fetch: () => Promise<Fetched<T>>, now: () => number = Date.now) {
    this.#fetch = fetch;
    this.#now = now;
  }

  async value(): Promise<T> {
    if (this.#kept && this.#now() < this.#kept.end) return this.#kept.value;
    this.#fetching ??= this.#refetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** Fetches another one next time, if the kept one is the one meant. */
  forget(isMeant: (value: T) => boolean): void {
    if (this.#kept && isMeant(this.#kept.value)) this.#kept = undefined;
  }

  async #refetch(): Promise<T> {
    const asked = this.#now();
    const { value, milliseconds } = await this.#fetch();
    this.#kept = { value, end: asked + milliseconds };
    return value;
  }
}
