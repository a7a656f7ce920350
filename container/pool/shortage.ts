/**
 * Where a container that lacks a resource asks for it. The pools give up one of their containers then. It stands between
 * the two because the pools create their containers with the same code that asks.
 */

import { ServiceError } from '../../errors/service-error.ts';

/** The errors that a resource throws when all of it is held. */
const NONE_FREE: readonly string[] = ['tty.none_free', 'port.none_free', 'gpu.none_free'];

export class Shortage {
  #relieve: () => Promise<boolean> = async () => false;
  #underWay: Promise<boolean> | undefined;

  /** @param relieve resolves once something was released; false: there is nothing to give up */
  answerWith(relieve: () => Promise<boolean>): void {
    this.#relieve = relieve;
  }

  /** Takes a resource, and again each time that one was released for it. @throws what `take` throws */
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

  /** A container lacks several resources at a time, and what is released has all of them. */
  #relieveOnce(): Promise<boolean> {
    this.#underWay ??= this.#relieve().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }
}
