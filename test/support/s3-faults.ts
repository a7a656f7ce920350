/**
 * The faults of the stand-in for S3, which are those of a real network and a real S3, and the effect of two of them on the body
 * of an answer.
 */

import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { Operation } from './s3-protocol.ts';

/** Each with the operations that it affects; undefined means all. */
const AFFECTED = {
  none: [],
  /** Accepts no connections, and existing ones break. */
  away: [],
  /** Accepts requests and never answers them, not even after the fault has ended. */
  silent: undefined,
  throttle: undefined,
  /** The second request, the fourth … */
  'throttle-some': undefined,
  deny: undefined,
  /** The connection breaks after half of the request's body, of which nothing is kept. */
  'cut-upload': ['PutObject', 'UploadPart'],
  /** The connection breaks after half of the answer's body. */
  'cut-download': ['GetObject'],
  /** The request is executed, and the connection breaks instead of an answer. */
  'cut-answer': ['PutObject', 'CompleteMultipartUpload'],
  /** Its clock is an hour ahead, and it requires requests with its time. */
  'wrong-clock': undefined,
  /** One bit of the object is changed, without a wrong checksum. */
  flip: ['GetObject'],
} as const satisfies Record<string, readonly Operation[] | undefined>;
export type Fault = keyof typeof AFFECTED;

export interface Narrowing {
  /** In place of the operations that the fault affects by default. */
  readonly only?: readonly Operation[];
  /** For `silent`: objects whose keys begin like this. Others work normally. */
  readonly below?: string;
  /** The fault ends after it has affected so many requests. */
  readonly times?: number;
}

/** A requested fault, and its effects so far. */
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

  /** Whether `fault` must affect a request now; if so, it is counted. */
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

/** The same bytes with one changed bit in the byte at `at`. */
export async function* flipped(body: Readable, at: number): AsyncGenerator<Buffer> {
  let left = at;
  for await (const piece of body as AsyncIterable<Buffer>) {
    if (left >= 0 && left < piece.length) piece.writeUInt8(piece.readUInt8(left) ^ 1, left);
    left -= piece.length;
    yield piece;
  }
}

/** Resolves when the kernel has accepted the first half. */
export async function sendHalf(body: Readable, length: number, response: ServerResponse): Promise<void> {
  let left = Math.floor(length / 2);
  for await (const piece of body as AsyncIterable<Buffer>) {
    const part = piece.subarray(0, left);
    await new Promise<void>((resolve) => response.write(part, () => resolve()));
    left -= part.length;
    if (left === 0) return;
  }
}
