/**
 * Closes a connection so that its last answer arrives. If a socket is closed while input is unread, the kernel resets the
 * connection, and its peer loses the answer. So what the peer still sends is read and dropped for a while first.
 */

import type { Socket } from 'node:net';

/** Milliseconds that the peer may be silent, and that it gets in all, once the answer has left. */
const SILENCE = 5_000;
const LONGEST = 30_000;
/** Bytes that are read and dropped. */
const MOST_REST = 64 * 2 ** 20;

/**
 * Ends our side, and closes the socket when its peer has ended too or has had its time.
 * @returns what is to be told of each piece that is dropped
 */
export function lingerUntilClose(socket: Socket): (bytes: number) => void {
  socket.end(() => {
    const late = setTimeout(() => socket.destroy(), LONGEST);
    socket.once('close', () => clearTimeout(late));
    socket.setTimeout(SILENCE, () => socket.destroy());
  });
  let rest = 0;
  return (bytes) => {
    rest += bytes;
    if (rest > MOST_REST) socket.destroy();
  };
}
