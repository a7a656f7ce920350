/**
 * The numbers N of /dev/input/eventN that living containers may open. A container keeps the right to its
 * numbers while it lives, even when its device is gone before it: a program in it can destroy the device, and
 * the kernel then gives the number to the next one that is made, which may be a neighbour's keyboard.
 */

export class EventNumbers {
  readonly #claimed = new Set<number>();
  readonly #isOthers: (number: number) => Promise<boolean>;

  /** @param isOthers whether a living container that is not ours may open the number */
  constructor(isOthers: (number: number) => Promise<boolean> = async () => false) {
    this.#isOthers = isOthers;
  }

  /**
   * @param others numbers of the same device's other nodes that the kernel could have given to an event node
   * @returns false when another living container may open one of them
   */
  async claim(number: number, others: readonly number[] = []): Promise<boolean> {
    if ([number, ...others].some((one) => this.#claimed.has(one))) return false;
    this.#claimed.add(number);
    try {
      if (!(await this.#isOthers(number))) return true;
    } catch (error) {
      this.#claimed.delete(number);
      throw error;
    }
    this.#claimed.delete(number);
    return false;
  }

  /** Claims it for a container that has it already. */
  adopt(number: number): void {
    this.#claimed.add(number);
  }

  /** To be called when the container that claimed it was proven gone. */
  release(number: number): void {
    this.#claimed.delete(number);
  }
}
