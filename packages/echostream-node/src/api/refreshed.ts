/** A value that expires, such as a token. It is cached while it is valid, and fetched once for all concurrent callers. */

export interface Fetched<T> {
  readonly value: T;
  /** How long the value can be used from now on, in milliseconds. */
  readonly milliseconds: number;
}

export class Refreshed<T> {
  readonly #fetch: () => Promise<Fetched<T>>;
  readonly #now: () => number;
  #kept: { readonly value: T; readonly end: number } | undefined;
  #fetching: Promise<T> | undefined;

  /** `now` is the time of day, because a process can be suspended while the value ages. */
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

  /** Makes the next call fetch a new value if the cached one is the given one. */
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
