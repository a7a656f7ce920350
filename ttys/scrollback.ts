/** The last of what a terminal has printed, each byte by its place in all that it ever printed. Its memory is fixed. */

/** Bytes that a terminal keeps for those who attach later. */
export const KEPT = 256 * 1024;

export class Scrollback {
  /** Place `n` is at `n` modulo its length. Pages that were never written cost nothing. */
  readonly #ring: Buffer;
  #end = 0;

  /** @param bytes how many it keeps */
  constructor(bytes: number) {
    this.#ring = Buffer.alloc(bytes);
  }

  /** The place of the first byte that is kept. */
  get first(): number {
    return Math.max(0, this.#end - this.#ring.length);
  }

  /** The place behind the last byte. */
  get end(): number {
    return this.#end;
  }

  /** The place of the first line that is kept whole, where lines are short. */
  get firstLine(): number {
    const { first } = this;
    return first === 0 ? 0 : first + this.read(first).indexOf('\n') + 1;
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

  /** A copy of what stands at `place` and behind it: not all of it, but something where there is something. */
  read(place: number): Buffer {
    const { length } = this.#ring;
    const at = place % length;
    const many = Math.min(this.#end - place, length - at);
    return Buffer.from(this.#ring.subarray(at, at + many));
  }
}
