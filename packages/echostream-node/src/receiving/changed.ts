/** Lets a loop wait until something has changed that it should look at again. */

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
