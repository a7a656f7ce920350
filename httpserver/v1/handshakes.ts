/**
 * WebSocket handshakes (RFC 6455). A request for a WebSocket goes through the same checks as any other request, and
 * gets the same error answers. Only then does its connection become a WebSocket.
 *
 * @fastify/websocket 11.3 takes the same steps. It was left out because it loads `ws` at every start, and because it
 * destroys the connection of a refused request as soon as the answer is written, so that the client can miss the
 * answer.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { WebSocket } from 'ws';
import { ServiceError } from '../../errors/service-error.ts';
import { lastResponse } from '../gentle-close.ts';

interface Handshake {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly head: Buffer;
}

/** The maximum size of a message in bytes. */
const MOST_MESSAGE = 64 * 1024;

/** Whether a request asks for a WebSocket. A request for another protocol is answered in HTTP. */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

export class Handshakes {
  readonly #asked = new WeakMap<IncomingMessage, Handshake>();

  constructor(app: FastifyInstance) {
    app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      // A client that has disconnected needs no answer.
      socket.on('error', () => {});
      let response: ServerResponse;
      try {
        response = lastResponse(request, socket);
      } catch {
        // The client did not wait for the answer to its previous request, which still uses the connection.
        socket.destroy();
        return;
      }
      this.#asked.set(request, { response, socket, head });
      app.routing(request, response);
    });
  }

  /** @throws {ServiceError} `terminal.no_upgrade` */
  check(request: IncomingMessage): void {
    const { method, headers } = request;
    const isSound =
      method === 'GET' &&
      this.#asked.has(request) &&
      headers['sec-websocket-version'] === '13' &&
      /^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '');
    if (!isSound) throw new ServiceError('terminal.no_upgrade', {});
  }

  /** Loads the library only now, because a start does not need it. @returns undefined if the client has disconnected */
  async accept(request: IncomingMessage): Promise<WebSocket | undefined> {
    const { WebSocketServer } = await import('ws');
    const { response, socket, head } = this.#asked.get(request) as Handshake;
    response.detachSocket(socket);
    const server = new WebSocketServer({ noServer: true, maxPayload: MOST_MESSAGE, clientTracking: false });
    let accepted: WebSocket | undefined;
    server.handleUpgrade(request, socket, head, (one) => {
      accepted = one;
    });
    return accepted;
  }
}
