/** Packs and encrypts a user's files into a file, in a thread. */

import type { Extent, Place } from './archive.ts';
import { startThread } from './thread.ts';

export interface PackingTask {
  readonly place: Place;
  readonly extent: Extent;
  /** The public half of the key. */
  readonly recipient: Uint8Array;
  /** Of a file that is there, and empty. */
  readonly path: string;
}

/** So many bytes more are in the file. */
export interface Grown {
  readonly bytes: number;
}

/**
 * @param grow is told how many bytes more are in the file; what it throws ends the work
 * @throws {ServiceError} `config.*`, `host.filesystem`, what `grow` throws, or the reason of `signal`
 */
export async function packInThread(
  task: PackingTask,
  grow: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await startThread<Grown>('packing-worker', task, ({ bytes }) => grow(bytes), signal).ended;
}
