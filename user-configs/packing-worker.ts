/** The thread of `packing.ts`. */

import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { explain } from '../host/atomic-file.ts';
import { encryptor } from './age.ts';
import { pack } from './archive.ts';
import { type Inside, runInside } from './inside-thread.ts';
import type { Grown, PackingTask } from './packing.ts';

/** Bytes that are gathered for one write. */
const WRITTEN_TOGETHER = 2 ** 20;
/** Bytes that are sent to the disk while the next ones are made. */
const SYNCED_TOGETHER = 2 ** 25;

await runInside<PackingTask, Grown>(async ({ place, extent, recipient, path }, { stop, tell }) => {
  await using file = await open(path, 'r+');
  const { archive, done } = pack(place, extent, stop.signal);
  const written = pipeline(archive, encryptor(Buffer.from(recipient)), sinkOf(file, path, tell));
  try {
    await Promise.all([written, done]);
  } catch (error) {
    stop.abort(error);
    await done.catch(() => {});
    throw error;
  }
});

function sinkOf(file: FileHandle, path: string, tell: Inside<Grown>['tell']): Writable {
  let unsynced = 0;
  const write = async (pieces: readonly Buffer[]) => {
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    try {
      const { bytesWritten } = await file.writev(pieces);
      // A disk that becomes full takes a part.
      if (bytesWritten < bytes) await file.appendFile(Buffer.concat(pieces).subarray(bytesWritten));
    } catch (error) {
      throw explain(path, error);
    }
    tell({ bytes });
    unsynced += bytes;
    if (unsynced < SYNCED_TOGETHER) return;
    unsynced = 0;
    // Else all of it would reach the disk at the end, while somebody waits.
    void file.datasync().catch(() => {});
  };
  return new Writable({
    highWaterMark: WRITTEN_TOGETHER,
    writev: (pieces, done) => void write(pieces.map(({ chunk }) => chunk)).then(() => done(), done),
  });
}
