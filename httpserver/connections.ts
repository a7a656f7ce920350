/**
 * Knows which connections of a server have a request in progress, and limits the number of connections. When there are
 * too many, a new connection replaces the one that has waited longest for its client: for the handshake, for a complete
 * request, or for the next request. So a client that opens many idle connections loses them first and cannot lock others
 * out.
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

export interface Connection {
  readonly socket: Socket;
  readonly address: string | undefined;
  readonly exchanges: Set<Exchange>;
  /** Whether it is or will become a WebSocket. If the upgrade is refused, the refusal closes it. */
  isUpgraded: boolean;
}

/** A TLS connection has a second socket with the same addresses. A unix socket has no addresses. */
type Key = string | Socket;

/** Open connections, in the order in which they started to wait. */
export type Connections = Map<Key, Connection>;

/** @param server an HTTP server, with or without TLS */
export function connectionsOf(server: Server): Connections {
  const open: Connections = new Map();

  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const connection = {
      socket,
      address: socket.remoteAddress,
      exchanges: new Set<Exchange>(),
      isUpgraded: false,
    };
    open.set(key, connection);
    socket.once('close', () => forget(open, key, connection));
  });

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const key = keyOf(request.socket);
    const connection = open.get(key);
    if (!connection) return;
    const exchange = { request, response };
    connection.exchanges.add(exchange);
    response.once('close', () => {
      connection.exchanges.delete(exchange);
      if (!forget(open, key, connection)) return;
      // It waits from now on.
      open.set(key, connection);
    });
  });

  server.on('upgrade', ({ socket }: IncomingMessage) => {
    const connection = open.get(keyOf(socket));
    if (connection) connection.isUpgraded = true;
  });
  return open;
}

/** @param open the connections of the server */
export function limitConnections(server: Server, open: Connections, { all, each }: ConnectionLimits): void {
  server.on('connection', (socket: Socket) => {
    const key = keyOf(socket);
    const newest = open.get(key);
    if (!newest) return;
    const own = [...open].filter(([, { address }]) => address === newest.address);
    if (own.length > each) makeRoom(own, key, newest);
    else if (open.size > all) makeRoom([...open], key, newest);
  });

  function makeRoom(among: readonly [Key, Connection][], key: Key, newest: Connection): void {
    const [goes, connection] = among.find(([, one]) => isWaiting(one)) ?? [key, newest];
    forget(open, goes, connection);
    connection.socket.destroy();
  }
}

/** @returns whether it was there */
function forget(open: Connections, key: Key, connection: Connection): boolean {
  // The client may have reused its port.
  return open.get(key) === connection && open.delete(key);
}

function keyOf(socket: Socket): Key {
  const { remoteAddress, remotePort } = socket;
  return remotePort === undefined ? socket : `${remoteAddress} ${remotePort}`;
}

/** A connection whose client does not read the rest of an answer counts as waiting. */
function isWaiting({ exchanges, isUpgraded }: Connection): boolean {
  const isAtWork = ({ request, response }: Exchange) => request.complete && !response.writableEnded;
  return !isUpgraded && ![...exchanges].some(isAtWork);
}

/** Whether its client has sent a complete request, and has not received the whole answer. */
export function isOwed({ exchanges, isUpgraded }: Connection): boolean {
  return isUpgraded || [...exchanges].some(({ request }) => request.complete);
}
