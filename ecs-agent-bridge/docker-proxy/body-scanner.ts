/**
 * Finds the end of an HTTP/1.1 message's body and the data in it, piece by piece. Source: RFC 9112, section 7.1 for
 * chunks.
 */

import { type Framing, MalformedMessage } from './message-head.ts';

/** The maximum length of a line between chunks. */
const LONGEST_LINE = 4096;
const LF = 0x0a;

export class BodyScanner {
  #state: 'size' | 'data' | 'after data' | 'trailer' | 'done';
  readonly isUntilClose: boolean;
  readonly #isChunked: boolean;
  /** The bytes of data that are still to come, of the chunk or of the whole body. */
  #left = 0;
  #line = '';

  constructor(framing: Framing) {
    this.#isChunked = framing === 'chunked';
    this.#state = this.#isChunked ? 'size' : 'data';
    this.isUntilClose = framing === 'until close';
    if (this.isUntilClose) this.#left = Infinity;
    else if (typeof framing === 'object') this.#left = framing.length;
    if (!this.#isChunked && this.#left === 0) this.#state = 'done';
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /**
   * @param onData called with the data in the piece, in order
   * @returns the number of bytes of the piece that belong to the body; less than all only at its end
   * @throws {MalformedMessage}
   */
  take(piece: Buffer, onData?: (data: Buffer) => void): number {
    let at = 0;
    while (at < piece.length && this.#state !== 'done') {
      at = this.#state === 'data' ? this.#takeData(piece, at, onData) : this.#takeLine(piece, at);
    }
    return at;
  }

  #takeData(piece: Buffer, at: number, onData: ((data: Buffer) => void) | undefined): number {
    const end = Math.min(piece.length, at + this.#left);
    onData?.(piece.subarray(at, end));
    this.#left -= end - at;
    if (this.#left === 0) this.#state = this.#isChunked ? 'after data' : 'done';
    return end;
  }

  #takeLine(piece: Buffer, at: number): number {
    const newline = piece.indexOf(LF, at);
    const end = newline === -1 ? piece.length : newline + 1;
    this.#line += piece.toString('latin1', at, end);
    if (this.#line.length > LONGEST_LINE) throw new MalformedMessage('a line between its chunks is too long');
    if (newline !== -1) {
      if (!this.#line.endsWith('\r\n')) throw new MalformedMessage('a line between its chunks is cut');
      this.#endLine(this.#line.slice(0, -2));
      this.#line = '';
    }
    return end;
  }

  #endLine(line: string): void {
    if (this.#state === 'size') {
      const [, digits] = /^([0-9a-fA-F]{1,12})[ \t]*(;.*)?$/.exec(line) ?? [];
      if (!digits) throw new MalformedMessage('the size of a chunk is not understood');
      this.#left = Number.parseInt(digits, 16);
      this.#state = this.#left === 0 ? 'trailer' : 'data';
    } else if (this.#state === 'after data') {
      if (line !== '') throw new MalformedMessage('a chunk is longer than it says');
      this.#state = 'size';
    } else if (line === '') {
      this.#state = 'done';
    }
  }
}
