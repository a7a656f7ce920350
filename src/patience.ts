/** A time limit that may move while somebody waits: EC2 can say at any moment that it takes the host. */

/** Milliseconds between looks at it. */
const LOOK = 250;

export class Patience implements Disposable {
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** @param left milliseconds yet, after some that were waited; asked from time to time */
  constructor(left: (waited: number) => number, look = LOOK) {
    const beginning = performance.now();
    const check = () => {
      if (left(performance.now() - beginning) <= 0) this.#over.abort(new Error('the deadline has passed'));
    };
    this.#timer = setInterval(check, look);
    check();
  }

  /** Aborts when the time is over. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
