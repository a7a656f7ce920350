/**
 * Keeps the answers on a connection in the order of its requests. This includes two cases for which Node has no
 * response object: input that is not a complete HTTP request in time, and a CONNECT request.
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
  /** The newest exchange, and the earlier ones that are not answered yet. */
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
    // A connection that is closing has already been answered.
    if (connection.isRefused || socket.writableEnded) return;
    connection.isRefused = true;
    void refuse(socket, connection, code);
  });

  // The predecessor sent no answer in this case either.
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => {});
    void answersOn(connectionOf(socket)).then(() => {
      if (socket.writable) app.routing(request, lastResponse(request, socket));
    });
  });
}

async function refuse(socket: Socket, connection: Connection, code = ''): Promise<void> {
  const isTimeout = code === 'ERR_HTTP_REQUEST_TIMEOUT';
  // It is not HTTP at all: a failed TLS handshake, or a broken connection.
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

/** Resolves when all complete requests, and any other answers in progress, are finished. */
async function answersOn({ exchanges }: Connection): Promise<void> {
  const owed = exchanges.filter(
    ({ request, response }) => !response.writableFinished && (request.complete || response.headersSent),
  );
  await Promise.all(owed.map(({ response }) => new Promise((resolve) => response.once('close', resolve))));
}
