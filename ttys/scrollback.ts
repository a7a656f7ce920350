/**
 * The last output of a terminal, in a ring buffer of fixed size. Each byte is addressed by its position in the whole
 * output.
 */

/** The number of bytes that a terminal keeps for clients that attach later. */
export const KEPT = 256 * 1024;

export class Scrollback {
  /** The byte at position `n` is at `n` modulo the length. The kernel allocates pages only when they are written. */
  readonly #ring: Buffer;
  #begin = 0;
  #end = 0;

  /** @param bytes the size of the buffer */
  constructor(bytes: number) {
    this.#ring = Buffer.alloc(bytes);
  }

  /** The position of the first byte in the buffer. */
  get first(): number {
    return Math.max(this.#begin, this.#end - this.#ring.length);
  }

  /** The position after the last byte. */
  get end(): number {
    return this.#end;
  }

  /** The position of the first complete line, if lines are short. */
  get firstLine(): number {
    const { first } = this;
    return first === 0 ? 0 : first + this.read(first).indexOf('\n') + 1;
  }

  /** A copy of all bytes in the buffer. */
  get all(): Buffer {
    const { first } = this;
    const some = this.read(first);
    return Buffer.concat([some, this.read(first + some.length)]);
  }

  /**
   * Starts with the bytes that another process kept.
   * @param end the position after its last byte
   */
  restore(kept: Uint8Array, end: number): void {
    this.#begin = Math.max(0, end - kept.length);
    this.#end = this.#begin;
    this.add(kept);
  }

  add(bytes: Uint8Array): void {
    const { length } = this.#ring;
    const kept = bytes.subarray(-length);
    const at = (this.#end + bytes.length - kept.length) % length;
    const fitting = kept.subarray(0, length - at);
    this.#ring.set(fitting, at);
    this.#ring.set(kept.subarray(fitting.length), 0);
    this.#end += bytes.length;
  }

  /** A copy of some of the bytes from position `place` on. It is empty only if there are none. */
  read(place: number): Buffer {
    const { length } = this.#ring;
    const at = place % length;
    const many = Math.min(this.#end - place, length - at);
    return Buffer.from(this.#ring.subarray(at, at + many));
  }
}
