/**
 * What comes in on a socket, piece by piece as somebody asks for it; no more is read ahead than a little. That the
 * peer has ended is noticed also while nobody asks.
 */

import type { Socket } from 'node:net';
import { release } from '../../user-configs/used-up.ts';
import { BodyScanner } from './body-scanner.ts';
import { type Framing, MalformedMessage } from './message-head.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** Bytes that are read ahead, and bytes of a head, at most. */
const AHEAD = 256 * 1024;
const LONGEST_HEAD = 1024 * 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

export class Source {
  readonly socket: Socket;
  #queue: Buffer[] = [];
  #queued = 0;
  #isOver = false;
  #wake: (() => void) | undefined;
  readonly #onOver: () => void;
  readonly #buffers: ReadBuffers | undefined;

  /**
   * @param onOver is told once that nothing more will come, whether or not what has come was asked for
   * @param buffers into which the socket reads, if it does
   */
  constructor(socket: Socket, onOver = () => {}, buffers?: ReadBuffers) {
    this.socket = socket;
    this.#onOver = onOver;
    this.#buffers = buffers;
    if (buffers) buffers.onPiece = this.#take;
    else socket.on('data', this.#take);
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
    const piece = this.#queue.shift();
    if (!piece) return undefined;
    this.#queued -= piece.length;
    if (this.#queued < AHEAD) this.socket.resume();
    return piece;
  }

  /** Puts back what was too much. */
  unshift(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#queue.unshift(piece);
    this.#queued += piece.length;
  }

  /** The next head, as it came. @returns undefined when nothing more comes @throws {MalformedMessage} */
  async head(): Promise<Buffer | undefined> {
    let got = await this.next();
    if (!got) return undefined;
    for (let from = 0; ; ) {
      const end = got.indexOf(END_OF_HEAD, from);
      if (end !== -1) {
        this.unshift(got.subarray(end + 4));
        return got.subarray(0, end + 4);
      }
      if (got.length > LONGEST_HEAD) throw new MalformedMessage('its head is too long');
      from = Math.max(0, got.length - 3);
      const piece = await this.next();
      if (!piece) throw new MalformedMessage('it ends within its head');
      got = Buffer.concat([got, piece]);
    }
  }

  /**
   * The pieces of a body, as they come. What follows it stays.
   * @param onData gets what is data in it
   * @throws {MalformedMessage}
   */
  async *body(framing: Framing, onData?: (data: Buffer) => void): AsyncGenerator<Buffer, void> {
    const scanner = new BodyScanner(framing);
    while (!scanner.isDone) {
      const piece = await this.next();
      if (!piece) {
        if (framing === 'until close') return;
        throw new MalformedMessage('it ends within its body');
      }
      const taken = scanner.take(piece, onData);
      this.unshift(piece.subarray(taken));
      yield taken === piece.length ? piece : piece.subarray(0, taken);
    }
  }

  /** Nobody needs the piece any more: its memory has another use. */
  usedUp(piece: Buffer): void {
    if (!this.#buffers?.giveBack(piece)) release(piece);
  }

  /** Nobody asks any more: what still comes is thrown away. */
  drop(): void {
    this.socket.off('data', this.#take);
    this.socket.resume();
  }

  readonly #take = (piece: Buffer): void => {
    this.#queue.push(piece);
    this.#queued += piece.length;
    if (this.#queued >= AHEAD) this.socket.pause();
    this.#awake();
  };

  readonly #end = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onOver();
    this.#awake();
  };

  #awake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/**
 * Writes, and waits while the peer does not read. @param written is told when the bytes are not needed any more
 * @returns whether it can still be written to
 */
export async function write(socket: Socket, bytes: Buffer | string, written?: () => void): Promise<boolean> {
  if (socket.destroyed || !socket.writable) return false;
  if (!socket.write(bytes, written)) {
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

/**
 * Writes a piece that is of no use to anybody afterwards: while gigabytes pass, the garbage collector of a process with
 * a large heap would take longer to find the pieces than it takes to pass them on.
 */
export function passOn(from: Source, to: Socket, piece: Buffer): Promise<boolean> {
  return write(to, piece, () => from.usedUp(piece));
}
