/**
 * The memory into which a socket reads, again and again. Node's own way makes new memory of 64 KiB for each read and
 * copies out of it what was read, and much of what passing a stream on takes is spent with that.
 */

/** Bytes: all that the far end of a unix socket can have sent ahead goes into one. */
const LENGTH = 256 * 1024;
/** Less than this is copied instead of keeping a whole buffer busy: a share of it. */
const LITTLE = LENGTH / 4;

/** For the option `onread` of a socket. */
export class ReadBuffers {
  /** Is given what was read. */
  onPiece: (piece: Buffer) => void = () => {};
  readonly #free: Buffer[] = [];
  /** The buffers of the pieces that are under way as a whole. */
  readonly #lent = new WeakMap<Buffer, Buffer>();

  readonly buffer = (): Buffer => this.#free.pop() ?? Buffer.allocUnsafeSlow(LENGTH);

  readonly callback = (count: number, bytes: Uint8Array): boolean => {
    const buffer = bytes as Buffer;
    const read = buffer.subarray(0, count);
    if (count < LITTLE) {
      this.#free.push(buffer);
      this.onPiece(Buffer.from(read));
    } else {
      this.#lent.set(read, buffer);
      this.onPiece(read);
    }
    return true;
  };

  /** @param piece that was given out; a part of one is none. @returns whether it was one */
  giveBack(piece: Buffer): boolean {
    const buffer = this.#lent.get(piece);
    if (buffer) this.#free.push(buffer);
    return this.#lent.delete(piece);
  }
}
