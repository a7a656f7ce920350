/** One connection of a client that sends bytes, says that no more will come, and reads the answers. */

import { once } from 'node:events';
import type { Socket } from 'node:net';

/** Milliseconds after which an answer counts as missing. A request that is incomplete may be waited for half as long. */
const LATE = 60_000;
/** Bytes. */
const MOST_READ = 2 ** 20;
/** Answers without an end, which a client leaves. */
const ENDLESS = /text\/event-stream|101 Switching|application\/x-ndjson/;
const STATUS = /^HTTP\/1\.1 (\d{3}) /gm;

/**
 * @param left what makes the client leave
 * @returns what came until the other side closed or the client left
 * @throws when nothing ends the connection
 */
export async function exchange(socket: Socket, bytes: Buffer, left = ENDLESS): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  let isOver = false;
  const timer = setTimeout(() => socket.destroy(new Error('no answer and no end')), LATE);
  let failure: unknown;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === undefined) failure = error;
  });
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length > MOST_READ || left.test(piece.toString('latin1'))) socket.destroy();
  });
  socket.on('close', () => {
    isOver = true;
  });
  socket.end(bytes);
  if (!isOver) await once(socket, 'close').catch(() => {});
  clearTimeout(timer);
  if (failure) throw failure;
  return Buffer.concat(pieces).toString('latin1');
}

/** @throws when the answers show a fault of the server */
export function checkAnswers(said: string): void {
  if (said !== '' && !said.startsWith('HTTP/1.1 ')) throw new Error(`not HTTP: ${said.slice(0, 200)}`);
  for (const [, status] of said.matchAll(STATUS)) {
    if (status === '500') throw new Error(`an internal error: ${said.slice(0, 2000)}`);
  }
}
