/** The thread of `packing.ts`: packs and encrypts into a file, and tells how far it is. */

import { appendFileSync, writevSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { explain } from '../host/atomic-file.ts';
import { encryptor } from './age.ts';
import { pack } from './archive.ts';
import type { Packed, PackingTask } from './packing.ts';
import { release } from './used-up.ts';

/** Bytes that are gathered for one write. */
const WRITTEN_TOGETHER = 2 ** 20;
/** Bytes that are sent to the disk while the next ones are made. */
const SYNCED_TOGETHER = 2 ** 25;

const port = parentPort as MessagePort;
const say = (packed: Packed) => port.postMessage(packed);
const stop = new AbortController();
const given = Promise.withResolvers<PackingTask>();
port.on('message', (message: PackingTask | 'stop') => {
  if (message === 'stop') stop.abort();
  else given.resolve(message);
});

try {
  await work(await given.promise);
  say({ is: 'whole' });
} catch (error) {
  const told =
    error instanceof ServiceError ? error : new ServiceError('config.not_packed', { why: messageOf(error) });
  say({ is: 'failed', code: told.code, parameters: told.parameters });
}
port.close();

async function work({ place, extent, recipient, path }: PackingTask): Promise<void> {
  await using file = await open(path, 'r+');
  const { archive, done } = pack(place, extent, stop.signal);
  const written = pipeline(archive, encryptor(Buffer.from(recipient), release), sinkOf(file, path));
  try {
    await Promise.all([written, done]);
  } catch (error) {
    stop.abort(error);
    await done.catch(() => {});
    throw error;
  }
}

function sinkOf(file: FileHandle, path: string): Writable {
  let pieces: Buffer[] = [];
  let gathered = 0;
  let unsynced = 0;
  const write = () => {
    // It holds up nobody but this thread, which would only wait for another one to do it.
    const written = writevSync(file.fd, pieces);
    // A disk that becomes full takes a part.
    if (written < gathered) appendFileSync(file.fd, Buffer.concat(pieces).subarray(written));
    say({ is: 'growing', bytes: gathered });
    pieces.forEach(release);
    unsynced += gathered;
    pieces = [];
    gathered = 0;
    if (unsynced < SYNCED_TOGETHER) return;
    unsynced = 0;
    // Else all of it would reach the disk at the end, while somebody waits.
    void file.datasync().catch(() => {});
  };
  const attempt = (done: (error?: Error) => void) => {
    try {
      write();
      done();
    } catch (error) {
      done(explain(path, error));
    }
  };
  return new Writable({
    write(piece: Buffer, _encoding, done) {
      pieces.push(piece);
      gathered += piece.length;
      if (gathered < WRITTEN_TOGETHER) done();
      else attempt(done);
    },
    final: attempt,
  });
}
