/**
 * The answers on a connection come in the order of its requests, one to each. This holds for two things too for which Node
 * has no response: what is no HTTP request, or does not become one in time, and a request for a tunnel.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { NO_SNIFFING, PLAIN } from './error-bodies.ts';
import { lastResponse, linger } from './gentle-close.ts';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Connection {
  /** The newest one, and those before it that are not answered yet. */
  exchanges: readonly Exchange[];
  isRefused: boolean;
}

export function answerInTurn(app: FastifyInstance): void {
  const { server } = app;
  const connections = new WeakMap<Socket, Connection>();
  const connectionOf = (socket: Socket): Connection => {
    const connection = connections.get(socket) ?? { exchanges: [], isRefused: false };
    connections.set(socket, connection);
    return connection;
  };

  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const connection = connectionOf(request.socket);
    const open = connection.exchanges.filter((one) => !one.response.writableFinished);
    connection.exchanges = [...open, { request, response }];
  });

  server.on('clientError', ({ code }: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connectionOf(socket);
    // A connection that is closing has been answered.
    if (connection.isRefused || socket.writableEnded) return;
    connection.isRefused = true;
    void refuse(socket, connection, code);
  });

  // The predecessor had nothing there either.
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => {});
    void answersOn(connectionOf(socket)).then(() => {
      if (socket.writable) app.routing(request, lastResponse(request, socket));
    });
  });
}

async function refuse(socket: Socket, connection: Connection, code = ''): Promise<void> {
  const isTimeout = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  // Not even HTTP: a handshake of TLS that failed, or a connection that broke.
  if (!isTimeout && !code.startsWith('HPE_')) {
    socket.destroy();
    return;
  }
  const newest = connection.exchanges.at(-1);
  const isAnswered = newest && !newest.request.complete && newest.response.headersSent;
  await answersOn(connection);
  if (!socket.writable) return;
  const status = isTimeout ? '408 Request Timeout' : '400 Bad Request';
  const head = `HTTP/1.1 ${status}\r\nContent-Type: ${PLAIN}\r\n${NO_SNIFFING.join(': ')}\r\nConnection: close`;
  if (!isAnswered) socket.write(`${head}\r\n\r\nMalformed request\n`);
  linger(socket);
}

/** Resolves when all whole requests are answered, and whatever else is being answered. */
async function answersOn({ exchanges }: Connection): Promise<void> {
  const owed = exchanges.filter(
    ({ request, response }) => !response.writableFinished && (request.complete || response.headersSent),
  );
  await Promise.all(owed.map(({ response }) => new Promise((resolve) => response.once('close', resolve))));
}
