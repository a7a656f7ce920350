/**
 * The numbers N of /dev/input/eventN that running containers may open. A container keeps the right to its numbers as
 * long as it runs, even if its device is destroyed earlier: a program in it can destroy the device, and the kernel may
 * then assign the number to a neighbour's keyboard.
 */

export class EventNumbers {
  readonly #claimed = new Set<number>();
  readonly #isOthers: (number: number) => Promise<boolean>;

  /** @param isOthers whether a running container of somebody else may open the number */
  constructor(isOthers: (number: number) => Promise<boolean> = async () => false) {
    this.#isOthers = isOthers;
  }

  /**
   * @param others numbers of the device's other nodes that the kernel could also assign to an event node
   * @returns false if another running container may open one of the numbers
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

  /** Claims a number for a container that already has it. */
  adopt(number: number): void {
    this.#claimed.add(number);
  }

  /** To be called when the container that claimed it is proven gone. */
  release(number: number): void {
    this.#claimed.delete(number);
  }
}
