/**
 * Reusable memory for the reads of a socket. By default, Node allocates 64 KiB for each read and copies the data, which
 * takes much of the time for passing a stream on.
 */

import { release } from '../../lifetime/released-buffers.ts';

/** In bytes. All data that the other end of a unix socket can send ahead fits into one buffer. */
const LENGTH = 256 * 1024;

/** For the option `onread` of a socket. */
export class ReadBuffers {
  /** Called with the data that was read, which is overwritten after `giveBack` was called. */
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

  /** To be called when the socket is closed. */
  readonly close = (): void => {
    for (const buffer of [this.#reading, ...this.#free.splice(0)]) release(buffer);
  };
}
