/** A WebSocket of the operator's API, to the same services as its other calls. */

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTo } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import { refusedBy, secureConnector, type Target, unreachable } from './client.ts';

/** Milliseconds from the request to its answer: a container may take its time to begin a program. */
const HANDSHAKE = 60_000;

/** It says nothing until it is resumed. @param path with its query @throws {ServiceError} `operator.*` */
export async function openSocket(target: Target, path: string): Promise<WebSocket> {
  const socket = 'socket' in target ? overUnix(target.socket, path) : await overTls(target, path);
  socket.once('open', () => socket.pause());
  const refusal = once(socket, 'unexpected-response').then(([, response]) => problemIn(response));
  const where = 'socket' in target ? target.socket : target.host.origin;
  await Promise.race([once(socket, 'open'), refusal]).catch((error: unknown) => {
    throw error instanceof ServiceError ? error : unreachable(where, error);
  });
  return socket;
}

const OPTIONS = { perMessageDeflate: false, handshakeTimeout: HANDSHAKE } as const;

function overUnix(socket: string, path: string): WebSocket {
  return new WebSocket(`ws://localhost${path}`, { ...OPTIONS, createConnection: () => connectTo(socket) });
}

async function overTls(
  { host, fingerprint, token }: Extract<Target, { readonly host: URL }>,
  path: string,
): Promise<WebSocket> {
  const connector = await secureConnector(fingerprint);
  const { hostname, port, protocol } = host;
  const headers = { authorization: `Bearer ${token}` };
  return new WebSocket(`wss://${host.host}${path}`, {
    ...OPTIONS,
    headers,
    createConnection: ((_: unknown, done: Parameters<typeof connector>[1]) =>
      connector({ hostname, port: port || '443', protocol, servername: hostname }, done)) as never,
  });
}

async function problemIn(response: IncomingMessage): Promise<never> {
  const body: unknown = JSON.parse(await text(response).catch(messageOf));
  throw refusedBy(body, `status ${response.statusCode}`);
}
