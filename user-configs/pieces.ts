/**
 * Cuts a stream into chunks of one size. Encrypted chunks must be cut at the same places when they are decrypted,
 * whether the bytes arrive one by one or by the million. Large writes are cut without a copy.
 */

/** Cuts a stream of bytes into chunks. The last one, which may be smaller, is kept until the end. */
export class Pieces {
  readonly #kept: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#kept = Buffer.allocUnsafeSlow(size);
  }

  /** Yields the complete chunks except the last. Each is valid until the next one is requested. */
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
