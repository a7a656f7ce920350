/**
 * A time limit that can change during the wait, because EC2 can announce at any moment that it will reclaim the host.
 */

/** Milliseconds between checks of the limit. */
const LOOK = 250;

export class Patience implements Disposable {
  readonly #over = new AbortController();
  readonly #timer: NodeJS.Timeout;

  /** @param left returns the remaining milliseconds, given those already waited; called regularly */
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
