/**
 * Limits the connections of a server. When there are too many, a new connection replaces the one that has waited
 * longest for its client: for the handshake, for a complete request, or for the next request. So a client that opens
 * many idle connections loses them first and cannot lock others out.
 *
 * INVARIANTS
 * - A connection with a complete unanswered request, or with an open stream, is never closed in favour of another one.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

export interface ConnectionLimits {
  /** The maximum for all addresses together, and for one address. */
  readonly all: number;
  readonly each: number;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Connection {
  readonly socket: Socket;
  readonly address: string | undefined;
  readonly exchanges: Set<Exchange>;
  /** Whether it is or will become a WebSocket. If the upgrade is refused, the refusal closes it. */
  isUpgraded: boolean;
}

/** @param server an HTTP server, with or without TLS */
export function limitConnections(server: Server, { all, each }: ConnectionLimits): void {
  /** In the order in which they started to wait. A TLS connection has a second socket with the same addresses. */
  const open = new Map<string, Connection>();

  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const connection = {
      socket,
      address: socket.remoteAddress,
      exchanges: new Set<Exchange>(),
      isUpgraded: false,
    };
    open.set(key, connection);
    socket.once('close', () => forget(key, connection));
    const own = [...open].filter(([, { address }]) => address === connection.address);
    if (own.length > each) makeRoom(own, key, connection);
    else if (open.size > all) makeRoom([...open], key, connection);
  });

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const key = keyOf(request.socket);
    const connection = open.get(key);
    if (!connection) return;
    const exchange = { request, response };
    connection.exchanges.add(exchange);
    response.once('close', () => {
      connection.exchanges.delete(exchange);
      if (!forget(key, connection)) return;
      // It waits from now on.
      open.set(key, connection);
    });
  });

  server.on('upgrade', ({ socket }: IncomingMessage) => {
    const connection = open.get(keyOf(socket));
    if (connection) connection.isUpgraded = true;
  });

  function makeRoom(among: readonly [string, Connection][], key: string, newest: Connection): void {
    const [goes, connection] = among.find(([, one]) => isWaiting(one)) ?? [key, newest];
    forget(goes, connection);
    connection.socket.destroy();
  }

  /** @returns whether it was there */
  function forget(key: string, connection: Connection): boolean {
    // The client may have reused its port.
    return open.get(key) === connection && open.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** A connection whose client does not read the rest of an answer counts as waiting. */
function isWaiting({ exchanges, isUpgraded }: Connection): boolean {
  const isAtWork = ({ request, response }: Exchange) => request.complete && !response.writableEnded;
  return !isUpgraded && ![...exchanges].some(isAtWork);
}
