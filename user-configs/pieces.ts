/**
 * What is sealed in chunks of one size has to be cut at the same places when it is opened, however the bytes come:
 * by the single one from a slow network, or by the million from a disk. Large writes are cut without a copy.
 */

/** Cuts a stream of bytes into pieces of one size, and keeps the last, which may be smaller, until the end. */
export class Pieces {
  readonly #kept: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#kept = Buffer.allocUnsafeSlow(size);
  }

  /** Gives out the pieces that are complete and not the last; each is valid until the next is asked for. */
  *add(bytes: Buffer): Generator<Buffer> {
    const size = this.#kept.length;
    let at = 0;
    while (this.#length + bytes.length - at > size) {
      const missing = size - this.#length;
      if (missing === size) {
        yield bytes.subarray(at, at + size);
      } else {
        bytes.copy(this.#kept, this.#length, at, at + missing);
        this.#length = 0;
        yield this.#kept;
      }
      at += missing;
    }
    this.#length += bytes.copy(this.#kept, this.#length, at);
  }

  rest(): Buffer {
    return this.#kept.subarray(0, this.#length);
  }
}
