/**
 * The memory into which a socket reads, again and again. Node's own way makes new memory of 64 KiB for each read and
 * copies out of it what was read: much of what it takes to pass a stream on is spent with that.
 */

import { release } from '../../lifetime/released-buffers.ts';

/** Bytes: all that the far end of a unix socket can have sent ahead goes into one. */
const LENGTH = 256 * 1024;

/** For the option `onread` of a socket. */
export class ReadBuffers {
  /** Is given what was read; it is overwritten once `giveBack` was called. */
  onPiece: (piece: Buffer, giveBack: () => void) => void = () => {};
  readonly #free: Buffer[] = [];
  #reading: Buffer = Buffer.alloc(0);

  readonly buffer = (): Buffer => {
    this.#reading = this.#free.pop() ?? Buffer.allocUnsafeSlow(LENGTH);
    return this.#reading;
  };

  readonly callback = (length: number): boolean => {
    const read = this.#reading;
    this.onPiece(read.subarray(0, length), () => this.#free.push(read));
    return true;
  };

  /** The socket is closed, and nothing is read any more. */
  readonly close = (): void => {
    for (const buffer of [this.#reading, ...this.#free.splice(0)]) release(buffer);
  };
}
