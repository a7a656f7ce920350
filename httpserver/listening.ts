/** A server that listens, and how it comes to its end: with nobody connected. */

import type { Server, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors/service-error.ts';

/** How long answers may take to leave once the server closes, in milliseconds. */
const LINGER = 5_000;

export const CLOSE_DEADLINE = 2 * LINGER;

export interface Listening {
  readonly app: FastifyInstance;
  readonly sockets: Set<Socket>;
  /** What has no end by itself ends with it. */
  readonly closing: AbortController;
}

/** The connections that a server has at each moment. */
export function socketsOf(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/** Answers that are under way get a while to leave; idle connections, also those that become idle, none. */
export async function close({ app, sockets, closing }: Listening): Promise<void> {
  closing.abort(new Error('the server closes'));
  const sweep = setInterval(() => app.server.closeIdleConnections(), 20);
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, LINGER);
  try {
    await app.close();
    await Promise.all([...sockets].map(destroyed));
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()).destroy());
}

/** @throws {ServiceError} `still.there` */
export function seenClosed({ app, sockets }: Listening): string {
  if (!app.server.listening && sockets.size === 0) return 'closed, and no connection is left';
  throw new ServiceError('still.there', {
    what: 'the listener',
    why: `${sockets.size} connections are open`,
  });
}
