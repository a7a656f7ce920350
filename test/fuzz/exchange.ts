/** A connection of a client that sends bytes, ends its side, and reads the answers. */

import { once } from 'node:events';
import type { Socket } from 'node:net';

/**
 * Milliseconds after which an answer counts as missing. The service may wait half as long for the rest of a request.
 */
const LATE = 60_000;
/** Bytes. */
const MOST_READ = 2 ** 20;
/** Answers without an end, after which a client disconnects. */
const ENDLESS = /text\/event-stream|101 Switching|application\/x-ndjson/;
const STATUS = /^HTTP\/1\.1 (\d{3}) /gm;

/**
 * @param left the pattern after which the client disconnects
 * @returns the bytes that arrived until either side closed the connection
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
