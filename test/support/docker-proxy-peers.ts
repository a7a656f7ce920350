/** The two ends of a connection through the proxy: they send what a test specifies, and record what they receive. */

import { EventEmitter, once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setImmediate as loop } from 'node:timers/promises';

/** A minimal call and its answer. */
export const PING = 'GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: Test\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK';

/** In bytes. */
const BIT = 64 * 1024;

export class Peer {
  readonly socket: Socket;
  readonly #pieces: Buffer[] = [];
  readonly #news = new EventEmitter();
  #length = 0;
  #poured = 0;
  #hasEnd = false;
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (piece) => {
      this.#pieces.push(piece);
      this.#length += piece.length;
      this.#news.emit('news');
    });
    socket.on('end', () => {
      this.#hasEnd = true;
      this.#news.emit('news');
    });
    socket.on('close', () => {
      this.#isClosed = true;
      this.#news.emit('news');
    });
    // Tests look at the received bytes and the end of the connection, not at errors.
    socket.on('error', () => {});
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get length(): number {
    return this.#length;
  }

  /** The received bytes, as characters of one byte each. */
  get text(): string {
    return this.bytes.toString('latin1');
  }

  say(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** The number of poured bytes that have left this side. */
  get poured(): number {
    return this.#poured;
  }

  /**
   * Sends it piece by piece, each after the previous one is accepted. Ends when all are sent, or the other side has
   * disconnected.
   */
  async pour(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isClosed; at += BIT) {
      const bit = bytes.subarray(at, at + BIT);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.socket.write(bit, () => resolve());
      await promise;
      this.#poured += bit.length;
    }
  }

  /** The received bytes, once they contain this. @throws if the other side ends before */
  async hear(what: string, times = 1): Promise<string> {
    await this.#until(() => this.text.split(what).length > times, `"${what}"`);
    return this.text;
  }

  /** The received bytes, once there are so many. @throws if the other side ends before */
  async hearBytes(count: number): Promise<Buffer> {
    await this.#until(() => this.#length >= count, `${count} bytes`);
    return this.bytes;
  }

  /** Resolves when the other side sends no more. @returns the bytes that were received until then */
  async ended(): Promise<string> {
    await this.#until(() => this.#hasEnd || this.#isClosed, 'an end');
    return this.text;
  }

  async closed(): Promise<void> {
    await this.#until(() => this.#isClosed, 'a close');
  }

  /** Sends bytes until the other side no longer accepts them. */
  async refused(): Promise<void> {
    while (!this.#isClosed) {
      this.say('.');
      await loop();
    }
  }

  get isOpen(): boolean {
    return !this.#hasEnd && !this.#isClosed;
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    while (!isSo()) {
      if (this.#isClosed)
        throw new Error(`the other side ended without ${what}, after: ${this.text.slice(-500)}`);
      await once(this.#news, 'news');
    }
  }
}

/** @param path the proxy's socket */
export async function dial(path: string): Promise<Peer> {
  const socket = createConnection({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  return new Peer(socket);
}

/** The number of event-loop turns in which anything in progress between sockets of this process would continue. */
const TURNS = 300;

/** Lets everything happen that needs no further input. */
export async function turns(count = TURNS): Promise<void> {
  for (let i = 0; i < count; i += 1) await loop();
}

/** The number of poured bytes that the other side has accepted, once it accepts no more. */
export async function takenOf(peer: Peer): Promise<number> {
  for (let before = -1; before !== peer.poured; ) {
    before = peer.poured;
    await turns();
  }
  return peer.poured;
}
