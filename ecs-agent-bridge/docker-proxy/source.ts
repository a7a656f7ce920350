/**
 * What comes in on a socket, piece by piece as somebody asks for it; no more is read ahead than a little. That the
 * peer has ended is noticed also while nobody asks.
 */

import type { Socket } from 'node:net';
import { lingerUntilClose } from '../../lifetime/lingering-close.ts';
import { release } from '../../lifetime/released-buffers.ts';
import { BodyScanner } from './body-scanner.ts';
import { type Framing, MalformedMessage } from './message-head.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** Bytes that are read ahead, and bytes of a head, at most. */
const AHEAD = 256 * 1024;
const LONGEST_HEAD = 64 * 1024;
/** What a piece counts for at least: many small ones would cost more than their bytes. */
const LEAST = 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** Takes what comes while nobody asks for it. */
export interface Sink {
  /** Whether it takes nothing now; then it calls `flow` when it does. */
  readonly isWaiting: boolean;
  /** @param usedUp is told when the bytes are not needed any more @returns how many of them it takes */
  take(piece: Buffer, usedUp: (part: Buffer) => void): number;
  /** It was given what there is. @param isOver nothing more will come */
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
   * @param onOver is told once that nothing more will come, whether or not what has come was asked for
   */
  constructor(socket: Socket, buffers: ReadBuffers, onOver = () => {}) {
    this.socket = socket;
    this.#buffers = buffers;
    this.#onOver = onOver;
    buffers.onPiece = this.#take;
    socket.on('end', this.#end);
    socket.on('close', this.#end);
    // Whoever reads or writes finds out.
    socket.on('error', this.#end);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it is over, and all of it was asked for. */
  get isEmpty(): boolean {
    return this.#isOver && this.#queue.length === 0;
  }

  /** Whether something has come that nobody has asked for. */
  get hasMore(): boolean {
    return this.#queue.length > 0;
  }

  /** @returns undefined when nothing more comes */
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

  /** What has come and what comes goes to the sink; with none it waits for who asks. */
  flowTo(sink: Sink | undefined): void {
    this.#sink = sink;
    this.flow();
  }

  /** Gives the sink what it takes. */
  flow(): void {
    for (let taken = 1; this.#sink && taken > 0 && this.hasMore; ) {
      const piece = this.#shift() as Buffer;
      taken = this.#sink.take(piece, release);
      this.unshift(piece.subarray(taken));
    }
    this.#pauseOrResume();
    this.#sink?.settle(this.isEmpty);
  }

  /** Puts back what was too much. */
  unshift(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#queue.unshift(piece);
    this.#queued += Math.max(piece.length, LEAST);
  }

  /** The next head, as it came. @returns undefined when nothing more comes @throws {MalformedMessage} */
  async head(): Promise<Buffer | undefined> {
    let piece = await this.next();
    if (!piece) return undefined;
    const pieces: Buffer[] = [];
    // The end may be spread over pieces.
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
   * The pieces of a body, as they come. What follows it stays.
   * @param onData gets what is data in it
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

  /** Reads over what is left of a body. @throws {MalformedMessage} */
  async skip(scanner: BodyScanner): Promise<void> {
    for await (const piece of this.#rest(scanner)) void piece;
  }

  /** Nobody asks any more. A peer that still writes would not read its last answer, were it cut off. */
  close(): void {
    const drop = lingerUntilClose(this.socket);
    this.#buffers.onPiece = (piece, giveBack) => {
      drop(piece.length);
      giveBack();
    };
    this.socket.resume();
  }

  /** @param giveBack its memory is to be used again */
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

/** Writes, and waits while the peer does not read. @returns whether it can still be written to */
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
