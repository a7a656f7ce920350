/**
 * The ways in which our stand-in for S3 can be of no use, which are those of a real network and a real
 * S3, and what two of them do to the body of an answer.
 */

import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Operation } from './s3-protocol.ts';

/** Each with the operations that it is about; undefined means all. */
const AFFECTED = {
  none: [],
  /** Takes no connections, and those there are break. */
  away: [],
  /** Takes requests and never answers them, also not when it has got well. */
  silent: undefined,
  throttle: undefined,
  /** The second request, the fourth … */
  'throttle-some': undefined,
  deny: undefined,
  /** The connection breaks when half of the request's body has come, of which nothing is kept. */
  'cut-upload': ['PutObject', 'UploadPart'],
  /** The connection breaks when half of the answer's body has gone. */
  'cut-download': ['GetObject'],
  /** What was asked for is done, and the connection breaks instead of an answer. */
  'cut-answer': ['PutObject', 'CompleteMultipartUpload'],
  /** Its clock is an hour ahead of ours, and it wants requests of its own time. */
  'wrong-clock': undefined,
  /** One bit of the object is another one, and no checksum tells. */
  flip: ['GetObject'],
} as const satisfies Record<string, readonly Operation[] | undefined>;
export type Fault = keyof typeof AFFECTED;

export interface Narrowing {
  /** Instead of the operations that the fault is about by itself. */
  readonly only?: readonly Operation[];
  /** Of `silent`: objects whose key begins like this; others are as ever. */
  readonly below?: string;
  /** After so many requests that it befell, the fault is over. */
  readonly times?: number;
}

/** A fault as it was asked for, and what it has done so far. */
export class Faults {
  readonly #fault: Fault;
  readonly #only: readonly Operation[] | undefined;
  readonly #below: string;
  readonly #times: number;
  #met = 0;
  #befallen = 0;

  constructor(fault: Fault, { only = AFFECTED[fault], below = '', times = Infinity }: Narrowing = {}) {
    this.#fault = fault;
    this.#only = only;
    this.#below = below;
    this.#times = times;
  }

  /** Whether `fault` has to befall a request now, which is counted. */
  befalls(fault: Fault, operation: Operation, key?: string): boolean {
    if (this.#fault !== fault || this.#befallen >= this.#times) return false;
    if (key !== undefined && !key.startsWith(this.#below)) return false;
    if (this.#only && !this.#only.includes(operation)) return false;
    this.#met += 1;
    if (fault === 'throttle-some' && this.#met % 2 === 1) return false;
    this.#befallen += 1;
    return true;
  }
}

/** The same with one other bit in the byte at `at`. */
export async function* flipped(body: Readable, at: number): AsyncGenerator<Buffer> {
  let left = at;
  for await (const piece of body as AsyncIterable<Buffer>) {
    if (left >= 0 && left < piece.length) piece.writeUInt8(piece.readUInt8(left) ^ 1, left);
    left -= piece.length;
    yield piece;
  }
}

/** Resolves when the kernel has the first half. */
export async function sendHalf(body: Readable, length: number, response: ServerResponse): Promise<void> {
  let left = Math.floor(length / 2);
  for await (const piece of body as AsyncIterable<Buffer>) {
    const part = piece.subarray(0, left);
    await new Promise<void>((resolve) => response.write(part, () => resolve()));
    left -= part.length;
    if (left === 0) return;
  }
}
