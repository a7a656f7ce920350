/**
 * Closes a connection in a way that lets its last answer arrive. If a socket is closed while it has unread input, the
 * kernel resets the connection and the peer loses the answer. So this reads and drops what the peer still sends, for a
 * limited time.
 */

import type { Socket } from 'node:net';

/** Limits in milliseconds after the answer was sent: for the peer's silence, and for everything. */
const SILENCE = 5_000;
const LONGEST = 30_000;
/** The maximum of bytes that are read and dropped. */
const MOST_REST = 64 * 2 ** 20;

/**
 * Ends our side. Closes the socket when the peer has ended its side or the time is over.
 * @returns a function to call with the size of each piece that is dropped
 */
export function lingerUntilClose(socket: Socket): (bytes: number) => void {
  socket.end(() => {
    // The peer may be gone already, and then no 'close' would clear the timer.
    if (socket.destroyed) return;
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
