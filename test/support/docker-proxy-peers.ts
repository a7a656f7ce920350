/** The two ends of a connection that goes through the proxy: they say what a test has them say, and remember what they got. */

import { EventEmitter, once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { setImmediate as loop } from 'node:timers/promises';

/** A call and its answer, neither of which means much. */
export const PING = 'GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: Test\r\n\r\n';
export const OK = 'HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 2\r\n\r\nOK';

/** Bytes. */
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
    // A test looks at what has come, and at the end.
    socket.on('error', () => {});
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  get length(): number {
    return this.#length;
  }

  /** What has come, as characters of one byte. */
  get text(): string {
    return this.bytes.toString('latin1');
  }

  say(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** How many bytes of what is poured have left this side. */
  get poured(): number {
    return this.#poured;
  }

  /** Says it bit by bit, each once the one before is taken; ends when all is, or the other side has gone. */
  async pour(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isClosed; at += BIT) {
      const bit = bytes.subarray(at, at + BIT);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.socket.write(bit, () => resolve());
      await promise;
      this.#poured += bit.length;
    }
  }

  /** What has come, once this is in it. @throws when the other side ends without it */
  async hear(what: string, times = 1): Promise<string> {
    await this.#until(() => this.text.split(what).length > times, `"${what}"`);
    return this.text;
  }

  /** What has come, once it is so much. @throws when the other side ends without it */
  async hearBytes(count: number): Promise<Buffer> {
    await this.#until(() => this.#length >= count, `${count} bytes`);
    return this.bytes;
  }

  /** The other side sends no more. @returns what has come until then */
  async ended(): Promise<string> {
    await this.#until(() => this.#hasEnd || this.#isClosed, 'an end');
    return this.text;
  }

  async closed(): Promise<void> {
    await this.#until(() => this.#isClosed, 'a close');
  }

  /** Says something until the other side is not there to take it. */
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

/** @param path where the proxy listens */
export async function dial(path: string): Promise<Peer> {
  const socket = createConnection({ path, allowHalfOpen: true });
  await once(socket, 'connect');
  return new Peer(socket);
}

/** Turns of the event loop in which whatever is under way between sockets of this process would go on. */
const TURNS = 300;

/** Lets everything happen that happens by itself. */
export async function turns(count = TURNS): Promise<void> {
  for (let i = 0; i < count; i += 1) await loop();
}

/** How many bytes of what is poured the other side has taken, once it takes no more. */
export async function takenOf(peer: Peer): Promise<number> {
  for (let before = -1; before !== peer.poured; ) {
    before = peer.poured;
    await turns();
  }
  return peer.poured;
}
