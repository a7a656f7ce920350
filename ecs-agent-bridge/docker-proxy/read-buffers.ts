/**
 * The memory into which a socket reads, again and again. Node's own way makes new memory of 64 KiB for each read and
 * copies out of it what was read: much of what it takes to pass a stream on is spent with that.
 */

/** Bytes: all that the far end of a unix socket can have sent ahead goes into one. */
const LENGTH = 256 * 1024;

/** For the option `onread` of a socket. */
export class ReadBuffers {
  /** Is given what was read; it is overwritten once `giveBack` was called. */
  onPiece: (piece: Buffer, giveBack: () => void) => void = () => {};
  readonly #free: Uint8Array[] = [];

  readonly buffer = (): Uint8Array => this.#free.pop() ?? Buffer.allocUnsafeSlow(LENGTH);

  readonly callback = (length: number, bytes: Uint8Array): boolean => {
    this.onPiece(Buffer.from(bytes.buffer, 0, length), () => this.#free.push(bytes));
    return true;
  };
}
