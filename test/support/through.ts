/** Streams in tests: what went in at once comes out at once. */

import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface Passed {
  /** What came out before the end or the error. */
  readonly released: Buffer;
  /** undefined: it ended well. */
  readonly error: unknown;
}

export async function pass(stream: Transform, writes: Iterable<Buffer>): Promise<Passed> {
  const released: Buffer[] = [];
  const collect = async (output: AsyncIterable<Buffer>) => {
    for await (const bytes of output) released.push(bytes);
  };
  const error: unknown = await pipeline(Readable.from(writes), stream, collect).catch(
    (reason: unknown) => reason,
  );
  return { released: Buffer.concat(released), error };
}

/** @throws what the stream fails with */
export async function through(stream: Transform, writes: Iterable<Buffer>): Promise<Buffer> {
  const { released, error } = await pass(stream, writes);
  if (error !== undefined) throw error;
  return released;
}

/** Cuts bytes at places between 0 and 1, in any order. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** Cuts bytes into single ones. */
export function singly(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
}
