/** The time that AWS's services have, learned from their answers: they refuse what is signed minutes off. */

export class ServerTime {
  readonly #now: () => number;
  #offset = 0;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** `date` is the header of an answer. */
  learn(date: string | null | undefined): void {
    const time = Date.parse(date ?? '');
    if (!Number.isNaN(time)) this.#offset = time - this.#now();
  }

  readonly now = (): Date => new Date(this.#now() + this.#offset);
}
