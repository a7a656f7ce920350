/**
 * The place where a container asks for a resource of which none is free. The pools then give up one of their
 * containers. This is a class of its own because the pools create their containers with the same code that asks.
 */

import { ServiceError } from '../../errors/service-error.ts';

/** The errors of resources of which none is free. */
const NONE_FREE: readonly string[] = ['tty.none_free', 'port.none_free', 'gpu.none_free'];

export class Shortage {
  #relieve: () => Promise<boolean> = async () => false;
  #underWay: Promise<boolean> | undefined;

  /** @param relieve resolves with true when something was released, or with false if there is nothing to give up */
  answerWith(relieve: () => Promise<boolean>): void {
    this.#relieve = relieve;
  }

  /**
   * Takes a resource. If none is free, retries each time one was released for this purpose.
   * @throws what `take` throws
   */
  async relieve<T>(take: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await take();
      } catch (error) {
        const isShort = error instanceof ServiceError && NONE_FREE.includes(error.code);
        if (!isShort || !(await this.#relieveOnce())) throw error;
      }
    }
  }

  /**
   * Shared by all waiting callers: a container may lack several resources, and a container that ends releases all
   * kinds.
   */
  #relieveOnce(): Promise<boolean> {
    this.#underWay ??= this.#relieve().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }
}
