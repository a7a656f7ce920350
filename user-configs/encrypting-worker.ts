/**
 * The worker thread of `pack-and-encrypt.ts`. It encrypts the data from a pipe into a file and reports its progress.
 * Its blocking calls affect no other thread. Ending the writer of the pipe ends the worker.
 */

import { appendFileSync, closeSync, openSync, readSync, writevSync } from 'node:fs';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { explain } from '../host/atomic-file.ts';
import { release } from '../lifetime/released-buffers.ts';
import { encrypt } from './age.ts';
import type { Encrypted, EncryptingTask } from './pack-and-encrypt.ts';

/** The number of bytes for one read, and to gather for one write. */
const AT_ONCE = 2 ** 19;

const port = parentPort as MessagePort;
const say = (encrypted: Encrypted) => port.postMessage(encrypted);

port.once('message', (task: EncryptingTask) => {
  try {
    work(task);
    say({ is: 'whole' });
  } catch (error) {
    const told =
      error instanceof ServiceError
        ? error
        : new ServiceError('config.not_packed', { why: messageOf(error) });
    say({ is: 'failed', code: told.code, parameters: told.parameters });
  }
  port.close();
});

function work({ content, recipient, stamp, path }: EncryptingTask): void {
  const file = openSync(path, 'r+');
  let pieces: Buffer[] = [];
  let gathered = 0;
  const write = () => {
    writeAll(file, path, pieces, gathered);
    say({ is: 'growing', bytes: gathered });
    pieces.forEach(release);
    pieces = [];
    gathered = 0;
  };
  try {
    for (const piece of encrypt(Buffer.from(recipient), piecesOf(stamp, content))) {
      pieces.push(piece);
      gathered += piece.length;
      if (gathered >= AT_ONCE) write();
    }
    write();
  } finally {
    closeSync(file);
  }
}

function* piecesOf(stamp: Uint8Array, descriptor: number): Generator<Buffer> {
  yield Buffer.from(stamp);
  const bytes = Buffer.allocUnsafeSlow(AT_ONCE);
  for (let length = 1; length > 0; ) {
    length = readSync(descriptor, bytes);
    yield bytes.subarray(0, length);
  }
}

function writeAll(file: number, path: string, pieces: readonly Buffer[], bytes: number): void {
  try {
    const written = writevSync(file, pieces);
    // A disk that becomes full writes only a part.
    if (written < bytes) appendFileSync(file, Buffer.concat(pieces).subarray(written));
  } catch (error) {
    throw explain(path, error);
  }
}
