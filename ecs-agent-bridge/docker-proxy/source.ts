/**
 * Reads a socket piece by piece on demand, with a limited read-ahead. It notices the end of the peer even while nothing
 * is requested.
 */

import type { Socket } from 'node:net';
import { lingerUntilClose } from '../../lifetime/lingering-close.ts';
import { release } from '../../lifetime/released-buffers.ts';
import { BodyScanner } from './body-scanner.ts';
import { type Framing, MalformedMessage } from './message-head.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** The maximum of bytes that are read ahead, and of a head. */
const AHEAD = 256 * 1024;
const LONGEST_HEAD = 64 * 1024;
/** The minimum that a piece counts, because many small pieces need more memory than their bytes. */
const LEAST = 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** Accepts data as it arrives, without a request for each piece. */
export interface Sink {
  /** Whether it accepts nothing now; it then calls `flow` when it does again. */
  readonly isWaiting: boolean;
  /** @param usedUp called when the bytes are no longer needed @returns how many of them it accepts */
  take(piece: Buffer, usedUp: (part: Buffer) => void): number;
  /** It has been given everything that is available. @param isOver no more data will arrive */
  settle(isOver: boolean): void;
}

export class Source {
  readonly socket: Socket;
  #queue: Buffer[] = [];
  #queued = 0;
  #isOver = false;
  #wake: (() => void) | undefined;
  #sink: Sink | undefined;
  readonly #buffers: ReadBuffers;
  readonly #onOver: () => void;

  /**
   * @param buffers into which the socket reads
   * @param onOver called once when no more data will arrive, even if the data has not been requested yet
   */
  constructor(socket: Socket, buffers: ReadBuffers, onOver = () => {}) {
    this.socket = socket;
    this.#buffers = buffers;
    this.#onOver = onOver;
    buffers.onPiece = this.#take;
    socket.on('end', this.#end);
    socket.on('close', this.#end);
    // The next read or write reports it.
    socket.on('error', this.#end);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the stream has ended and all of it was requested. */
  get isEmpty(): boolean {
    return this.#isOver && this.#queue.length === 0;
  }

  /** Whether data has arrived that was not requested yet. */
  get hasMore(): boolean {
    return this.#queue.length > 0;
  }

  /** @returns undefined if no more data will arrive */
  async next(): Promise<Buffer | undefined> {
    while (this.#queue.length === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const piece = this.#shift();
    this.#pauseOrResume();
    return piece;
  }

  /** Sends present and future data to the sink; without a sink, data waits for requests. */
  flowTo(sink: Sink | undefined): void {
    this.#sink = sink;
    this.flow();
  }

  /** Gives the sink what it accepts. */
  flow(): void {
    for (let taken = 1; this.#sink && taken > 0 && this.hasMore; ) {
      const piece = this.#shift() as Buffer;
      taken = this.#sink.take(piece, release);
      this.unshift(piece.subarray(taken));
    }
    this.#pauseOrResume();
    this.#sink?.settle(this.isEmpty);
  }

  /** Puts unused data back. */
  unshift(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#queue.unshift(piece);
    this.#queued += Math.max(piece.length, LEAST);
  }

  /** Reads the next head as bytes. @returns undefined if no more data will arrive @throws {MalformedMessage} */
  async head(): Promise<Buffer | undefined> {
    let piece = await this.next();
    if (!piece) return undefined;
    const pieces: Buffer[] = [];
    // The end of the head may be split over pieces.
    let before: Buffer = Buffer.alloc(0);
    for (let length = 0; ; ) {
      const seen: Buffer = Buffer.concat([before, piece.subarray(0, LONGEST_HEAD - length)]);
      const at = seen.indexOf(END_OF_HEAD);
      if (at !== -1) {
        const end = at + END_OF_HEAD.length - before.length;
        this.unshift(piece.subarray(end));
        pieces.push(piece.subarray(0, end));
        return Buffer.concat(pieces);
      }
      length += piece.length;
      if (length >= LONGEST_HEAD) throw new MalformedMessage('its head is longer than 64 KiB');
      pieces.push(piece);
      before = seen.subarray(1 - END_OF_HEAD.length);
      piece = await this.next();
      if (!piece) throw new MalformedMessage('it ends within its head');
    }
  }

  /**
   * Yields the pieces of a body as they arrive. Data after the body stays.
   * @param onData called with the data in it
   * @throws {MalformedMessage}
   */
  body(framing: Framing, onData?: (data: Buffer) => void): AsyncGenerator<Buffer, void> {
    return this.#rest(new BodyScanner(framing), onData);
  }

  async *#rest(scanner: BodyScanner, onData?: (data: Buffer) => void): AsyncGenerator<Buffer, void> {
    while (!scanner.isDone) {
      const piece = await this.next();
      if (!piece) {
        if (scanner.isUntilClose) return;
        throw new MalformedMessage('it ends within its body');
      }
      const taken = scanner.take(piece, onData);
      this.unshift(piece.subarray(taken));
      yield piece.subarray(0, taken);
    }
  }

  /** Skips the rest of a body. @throws {MalformedMessage} */
  async skip(scanner: BodyScanner): Promise<void> {
    for await (const piece of this.#rest(scanner)) void piece;
  }

  /** Stops reading gently: a peer that still writes would not read its last answer if the connection were cut. */
  close(): void {
    const drop = lingerUntilClose(this.socket);
    this.#buffers.onPiece = (piece, giveBack) => {
      drop(piece.length);
      giveBack();
    };
    this.socket.resume();
  }

  /** @param giveBack allows its memory to be reused */
  readonly #take = (piece: Buffer, giveBack: () => void): void => {
    const taken = this.hasMore ? 0 : (this.#sink?.take(piece, giveBack) ?? 0);
    if (taken < piece.length) {
      const rest = piece.subarray(taken);
      this.#queue.push(Buffer.from(rest));
      this.#queued += Math.max(rest.length, LEAST);
    }
    if (taken === 0) giveBack();
    this.#pauseOrResume();
    this.#sink?.settle(this.isEmpty);
    this.#awake();
  };

  readonly #end = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
    this.#sink?.settle(this.isEmpty);
    this.#awake();
  };

  #shift(): Buffer | undefined {
    const piece = this.#queue.shift();
    if (piece) this.#queued -= Math.max(piece.length, LEAST);
    return piece;
  }

  #pauseOrResume(): void {
    if (this.#sink?.isWaiting || this.#queued >= AHEAD) this.socket.pause();
    else this.socket.resume();
  }

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** Writes, and waits while the peer does not read. @returns whether the socket is still writable */
export async function write(socket: Socket, bytes: Buffer | string): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return false;
  if (!socket.write(bytes)) {
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off('drain', go);
        socket.off('close', go);
        resolve();
      };
      socket.on('drain', go);
      socket.on('close', go);
    });
  }
  return !socket.destroyed && socket.writable;
}
