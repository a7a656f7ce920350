/** Streams in tests: each piece that goes in comes out immediately. */

import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface Passed {
  /** The output before the end or the error. */
  readonly released: Buffer;
  /** undefined: it ended without an error. */
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

/** @throws the stream's error */
export async function through(stream: Transform, writes: Iterable<Buffer>): Promise<Buffer> {
  const { released, error } = await pass(stream, writes);
  if (error !== undefined) throw error;
  return released;
}

/** Splits bytes at places between 0 and 1, in any order. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => Math.floor(place * bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** Splits bytes into single ones. */
export function singly(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
}
