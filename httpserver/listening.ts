/** A listening server, and its graceful end. */

import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { ServiceError } from '../errors/service-error.ts';
import { type Descriptors, descriptorOf } from '../lifetime/descriptors.ts';
import { type Connections, isOwed } from './connections.ts';

/**
 * Time limits in milliseconds when the server closes: for clients to complete a request, or even a handshake, and for
 * answers in progress. New callers of the next service wait meanwhile.
 */
const HURRY = 250;
const LINGER = 5_000;

export const CLOSE_DEADLINE = 2 * LINGER;

export interface Listening {
  readonly app: FastifyInstance;
  readonly sockets: Set<Socket>;
  readonly connections: Connections;
  /** Ends requests that would otherwise never end. */
  readonly closing: AbortController;
}

/** How a listening socket outlives its process in a hand-over. */
export interface Passing {
  readonly descriptors: Descriptors;
  /** Its name among them. */
  readonly name: string;
}

/**
 * Listens with the socket that the previous service has passed on, or else with a new one.
 * @param fresh listens with a new one
 */
export async function listenOn(
  app: FastifyInstance,
  { descriptors, name }: Passing,
  fresh: () => Promise<unknown>,
): Promise<void> {
  const fd = descriptors.take(name);
  if (fd === undefined) await fresh();
  else {
    await app.ready();
    await once(app.server.listen({ fd }), 'listening');
  }
  descriptors.offer(name, descriptorOf(app.server));
}

/** The current connections of a server. */
export function socketsOf(server: Server): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

/**
 * Answers in progress get some time. Idle connections, including those that become idle, are closed at once. To Node, a
 * connection is not idle before its first complete request, so such connections are closed here.
 */
export async function close({ app, sockets, connections, closing }: Listening): Promise<void> {
  closing.abort(new Error('the server closes'));
  let isLate = false;
  const hurry = setTimeout(() => {
    isLate = true;
  }, HURRY);
  const sweep = setInterval(() => {
    app.server.closeIdleConnections();
    if (isLate) closeUnused(connections);
  }, 20);
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, LINGER);
  try {
    await app.close();
    await Promise.all([...sockets].map(destroyed));
  } finally {
    clearTimeout(hurry);
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

function closeUnused(connections: Connections): void {
  for (const connection of connections.values()) if (!isOwed(connection)) connection.socket.destroy();
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
