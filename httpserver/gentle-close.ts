/**
 * Lets the last answer on a connection arrive, whatever its client still sends. Node would close the connection with
 * unread input, which resets it.
 */

import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { lingerUntilClose } from '../lifetime/lingering-close.ts';

/** @param server an HTTP server, with or without TLS */
export function closeGently(server: Server): void {
  server.on('request', ({ socket }: IncomingMessage) => {
    // Node calls it after the last answer.
    socket.destroySoon = () => linger(socket);
  });
}

export function linger(socket: Socket): void {
  const count = lingerUntilClose(socket);
  const drop = () => {
    // The remaining input is not a request, so no parser may see it.
    socket.removeAllListeners('data');
    socket.on('data', ({ length }: Buffer) => count(length));
  };
  // Only Node's parser would resume a socket that it has paused, and it is detached now.
  if (socket.isPaused()) socket.once('resume', drop).resume();
  else drop();
}

/**
 * Creates a response for a request whose connection Node has given up.
 * @throws when the answer to another request still uses the connection
 */
export function lastResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // Not only `end`, because nothing else limits how long the client keeps the connection open.
  return response.on('finish', () => linger(socket));
}
