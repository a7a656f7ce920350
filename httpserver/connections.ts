/**
 * Which connections a server keeps when there are too many. A new one takes the place of the one that has waited the
 * longest for its client: for its handshake, for all of a request, or for the next one. So whoever opens connections and
 * leaves them idle loses them first, and keeps nobody out.
 *
 * INVARIANTS
 * - A connection with a whole request that is not answered yet, or with an open stream, is never closed for another one.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

export interface ConnectionLimits {
  /** Of all addresses together, and of one. */
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
  /** It is a WebSocket, or is to be one: what refuses that closes it. */
  isUpgraded: boolean;
}

/** @param server of HTTP, over TLS or not */
export function limitConnections(server: Server, { all, each }: ConnectionLimits): void {
  /** In the order in which they began to wait. TLS has a socket of its own on each, with the same addresses. */
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
    // The client may have used its port again.
    return open.get(key) === connection && open.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** What the client does not read of an answer is nobody's work any more. */
function isWaiting({ exchanges, isUpgraded }: Connection): boolean {
  const isAtWork = ({ request, response }: Exchange) => request.complete && !response.writableEnded;
  return !isUpgraded && ![...exchanges].some(isAtWork);
}
