/** Lets the last answer on a connection arrive, whatever its client still sends: Node would close it with input unread. */

import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { lingerUntilClose } from '../lifetime/lingering-close.ts';

/** @param server of HTTP, over TLS or not */
export function closeGently(server: Server): void {
  server.on('request', ({ socket }: IncomingMessage) => {
    // Node calls it after the last answer.
    socket.destroySoon = () => linger(socket);
  });
}

export function linger(socket: Socket): void {
  const count = lingerUntilClose(socket);
  const drop = () => {
    // Nothing that follows is a request any more, so that no parser may see it.
    socket.removeAllListeners('data');
    socket.on('data', ({ length }: Buffer) => count(length));
  };
  // Only Node's own parser makes a socket that it has paused read again.
  if (socket.isPaused()) socket.once('resume', drop).resume();
  else drop();
}

/**
 * For a request whose connection Node has given up.
 * @throws when the answer to another request still has the connection
 */
export function lastResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // Not only its end: nothing else limits how long the client keeps it.
  return response.on('finish', () => linger(socket));
}
