/** The WebSockets of `/v1`, which are terminals. */

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTo, isIP, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { ClientOptions, WebSocket } from 'ws';
import { ProblemError, UnreachableError } from './errors.ts';
import { connectorTo, nameOf, type RemoteTarget, type Target } from './target.ts';

/** The time limit in milliseconds from the request to its answer. A container may take long to start a program. */
const HANDSHAKE = 60_000;

/**
 * Opens a terminal's WebSocket. It is paused: resume it once you listen to its messages.
 * @param path with its query, such as `/v1/containers/ID/terminal?columns=80&rows=24`
 * @throws {UnreachableError}
 * @throws {ProblemError}
 */
export async function openSocket(target: Target, path: string): Promise<WebSocket> {
  try {
    const socket = 'socket' in target ? await overUnix(target.socket, path) : await overTls(target, path);
    socket.once('open', () => socket.pause());
    const refusal = once(socket, 'unexpected-response').then(([, response]) => problemIn(response));
    await Promise.race([once(socket, 'open'), refusal]);
    return socket;
  } catch (error) {
    throw error instanceof ProblemError ? error : new UnreachableError(nameOf(target), error);
  }
}

async function overUnix(socket: string, path: string): Promise<WebSocket> {
  return await opened(`ws://localhost${path}`, { createConnection: () => connectTo(socket) });
}

async function overTls(target: RemoteTarget, path: string): Promise<WebSocket> {
  const connect = await connectorTo(target);
  const { hostname, port, protocol, host } = target.host;
  const name = isIP(hostname) ? {} : { servername: hostname };
  const connection = await new Promise<Socket>((resolve, reject) => {
    const options = { hostname, port: port || '443', protocol, ...name };
    connect(options, (...[error, socket]) => (error ? reject(error) : resolve(socket)));
  });
  return await opened(`wss://${host}${path}`, {
    headers: { authorization: `Bearer ${target.token}` },
    createConnection: (() => connection) as never,
  });
}

async function opened(url: string, options: ClientOptions): Promise<WebSocket> {
  // Loaded only now, because most programs open no terminal.
  const { WebSocket } = await import('ws');
  return new WebSocket(url, { perMessageDeflate: false, handshakeTimeout: HANDSHAKE, ...options });
}

async function problemIn(response: IncomingMessage): Promise<never> {
  throw new ProblemError(parsed(await text(response)), response.statusCode ?? 0);
}

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
