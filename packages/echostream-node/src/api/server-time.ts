/** The time of AWS's services, taken from their answers. They refuse requests whose signature is minutes off. */

export class ServerTime {
  readonly #now: () => number;
  #offset = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** `date` is a header of an answer. */
  learn(date: string | null | undefined): void {
    const time = Date.parse(date ?? '');
    if (!Number.isNaN(time)) this.#offset = time - this.#now();
  }

  readonly now = (): Date => new Date(this.#now() + this.#offset);
}
