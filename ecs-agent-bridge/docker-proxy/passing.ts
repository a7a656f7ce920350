/**
 * Passes a body on as it arrives. There is no promise between a read and its write, because for gigabytes that would
 * take as long as the reads and writes themselves. While a write is blocked, nothing is read.
 */

import type { Socket } from 'node:net';
import type { BodyScanner } from './body-scanner.ts';
import { MalformedMessage } from './message-head.ts';
import type { Sink, Source } from './source.ts';

const NOTHING: Buffer = Buffer.alloc(0);

/**
 * @param head sent before the body
 * @returns whether all of it was accepted; false as soon as `to` is closed
 * @throws {MalformedMessage}
 */
export async function passOn(
  from: Source,
  to: Socket,
  scanner: BodyScanner,
  head: Buffer = NOTHING,
): Promise<boolean> {
  if (to.destroyed || !to.writable) return false;
  return await new Passing(from, to, scanner, head).run();
}

class Passing implements Sink {
  readonly #from: Source;
  readonly #to: Socket;
  readonly #scanner: BodyScanner;
  readonly #passed = Promise.withResolvers<boolean>();
  #head: Buffer;
  /** The number of unfinished writes. */
  #underWay = 0;

  constructor(from: Source, to: Socket, scanner: BodyScanner, head: Buffer) {
    this.#from = from;
    this.#to = to;
    this.#scanner = scanner;
    this.#head = head;
  }

  async run(): Promise<boolean> {
    const close = () => this.#passed.resolve(false);
    this.#to.on('close', close);
    if (this.#scanner.isDone || !this.#from.hasMore) this.#write(NOTHING, () => {});
    this.#from.flowTo(this);
    try {
      return await this.#passed.promise;
    } finally {
      this.#to.off('close', close);
      this.#from.flowTo(undefined);
    }
  }

  get isWaiting(): boolean {
    return this.#underWay > 0 && this.#to.writableLength > 0;
  }

  take(piece: Buffer, usedUp: (part: Buffer) => void): number {
    if (this.isWaiting || this.#scanner.isDone) return 0;
    try {
      const taken = this.#scanner.take(piece);
      this.#write(taken === piece.length ? piece : piece.subarray(0, taken), usedUp);
      return taken;
    } catch (error) {
      this.#passed.reject(error);
      return 0;
    }
  }

  /** Sends the available part of the body together with the head, because each write is expensive. */
  #write(part: Buffer, usedUp: (part: Buffer) => void): void {
    const bytes = this.#head.length === 0 ? part : Buffer.concat([this.#head, part]);
    this.#head = NOTHING;
    if (bytes.length === 0) return;
    this.#underWay += 1;
    this.#to.write(bytes, () => {
      this.#underWay -= 1;
      usedUp(part);
      this.#from.flow();
    });
  }

  settle(isOver: boolean): void {
    if (this.isWaiting) return;
    if (this.#scanner.isDone || (isOver && this.#scanner.isUntilClose)) this.#passed.resolve(true);
    else if (isOver) this.#passed.reject(new MalformedMessage('it ends within its body'));
  }
}
