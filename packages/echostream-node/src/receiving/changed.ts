/** Lets a loop wait until something that it checks has changed. */

export class Changed {
  #next = Promise.withResolvers<void>();

  notify(): void {
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  wait(): Promise<void> {
    return this.#next.promise;
  }
}
