/** The number of handlers that run at once. Waiting callers get slots in order. */

export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #listeners: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  get free(): number {
    return this.#free;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => void this.#waiting.push(resolve));
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else {
      this.#free += 1;
      for (const listener of this.#listeners) listener();
    }
  }

  /** Reports when a slot is free and nobody waits for it. */
  onFree(listener: () => void): void {
    this.#listeners.push(listener);
  }
}
