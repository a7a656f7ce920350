/** Decides whether requests reach the containers, and tracks those in progress. */

import { ServiceError } from '../errors/service-error.ts';

export class Gate<T> {
  readonly #underWay = new Set<Promise<unknown>>();
  #behind: T | undefined;
  #closed = false;

  /** Starts to pass requests to `behind`. */
  open(behind: T): void {
    this.#behind = behind;
  }

  /** Stops passing requests. */
  close(): void {
    this.#closed = true;
  }

  /** @throws {ServiceError} `service.starting`, `service.stopping` */
  check(): T {
    if (this.#closed) throw new ServiceError('service.stopping', {});
    if (this.#behind === undefined) throw new ServiceError('service.starting', {});
    return this.#behind;
  }

  /** Runs a request's work, if requests are passed. */
  async pass<R>(work: (behind: T) => Promise<R>): Promise<R> {
    const running = work(this.check());
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /** Resolves when no request is in progress. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }
}
