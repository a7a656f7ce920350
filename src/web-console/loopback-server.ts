/**
 * The web console on loopback, for a browser on this host, when the service's API is a unix socket. Every user of the
 * host, and every page in the browser, can reach a loopback port. So only the browser that opened the one-time address
 * gets access, and only for requests of the console's own pages.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../errors/service-error.ts';
import { throwUnlessSameOrigin } from '../../httpserver/console/same-origin.ts';
import { sessionIn } from '../../httpserver/console/sessions.ts';
import { closeGently } from '../../httpserver/gentle-close.ts';
import { sameSecret } from '../../settings/secret.ts';

export interface LoopbackConsole {
  readonly server: Server;
  /** A one-time address. The first browser that opens it gets the console, and no other browser does. */
  readonly url: string;
}

interface Refusal {
  readonly status: number;
  readonly text: string;
}

const OPEN = '/console/open';
const SERVED = /^\/(console|v1)(\/|\?|$)/;
const AGAIN = 'run "ecs-host-service console" again, and open the address that it prints';

/**
 * @param socketPath the service's unix socket
 * @param port 0: any free port
 */
export async function serveOnLoopback(socketPath: string, port: number): Promise<LoopbackConsole> {
  const session = newSecret();
  let oneTime: string | undefined = newSecret();
  const server = createServer({ requestTimeout: 0, requireHostHeader: false });
  closeGently(server);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const { port: bound } = server.address() as AddressInfo;
  const cookie = `ecs-host-service-console-${bound}`;
  const hosts = [`127.0.0.1:${bound}`, `localhost:${bound}`];

  const refusalOf = (asked: IncomingMessage): Refusal | undefined => {
    const { headers, method = '', url = '' } = asked;
    if (!hosts.includes(headers.host ?? ''))
      return { status: 421, text: 'the Host header is missing or names another host' };
    if (!sameSecret(sessionIn(headers.cookie, cookie) ?? '', session)) return { status: 403, text: AGAIN };
    if (!SERVED.test(url)) return { status: 404, text: 'there is nothing at this path; open /console/' };
    try {
      throwUnlessSameOrigin({ method, headers }, 'http');
      return undefined;
    } catch (error) {
      return { status: 403, text: messageOf(error) };
    }
  };
  const forward = (asked: IncomingMessage) => {
    const { method, url, headers } = asked;
    return request({ socketPath, method, path: url, headers: forwarded(headers), agent: false });
  };
  const isOpening = ({ headers, method, url = '' }: IncomingMessage) =>
    method === 'GET' && hosts.includes(headers.host ?? '') && url.startsWith(`${OPEN}?`);

  server.on('request', (asked: IncomingMessage, answer: ServerResponse) => {
    if (isOpening(asked)) {
      const given = (asked.url as string).slice(OPEN.length + 1);
      const isRight = oneTime !== undefined && sameSecret(given, oneTime);
      if (!isRight) return refuse(answer, { status: 403, text: `this address was used already; ${AGAIN}` });
      oneTime = undefined;
      answer.writeHead(303, {
        location: '/console/',
        'set-cookie': `${cookie}=${session}; Path=/; HttpOnly; SameSite=Strict`,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      });
      return answer.end();
    }
    const refusal = refusalOf(asked);
    if (refusal) return refuse(answer, refusal);
    const further = forward(asked);
    further.on('response', (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
      answered.on('error', () => answer.destroy());
    });
    further.on('error', (error) => {
      if (answer.headersSent) answer.destroy();
      else refuse(answer, { status: 502, text: `the service does not answer: ${messageOf(error)}` });
    });
    answer.on('close', () => further.destroy());
    return asked.pipe(further);
  });
  server.on('connect', (_: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => {});
    socket.end(headOf(404, { connection: 'close', 'content-length': '0' }));
  });
  server.on('upgrade', (asked: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    const refusal = refusalOf(asked);
    if (refusal) return socket.end(headOf(refusal.status, { connection: 'close' }));
    const further = forward(asked);
    further.on('upgrade', ({ headers }: IncomingMessage, upgraded: Duplex, first: Buffer) => {
      socket.write(headOf(101, headers));
      socket.write(first);
      upgraded.write(head);
      upgraded.on('error', () => socket.destroy());
      socket.on('close', () => upgraded.destroy());
      upgraded.pipe(socket).pipe(upgraded);
    });
    further.on('response', (answered) => {
      socket.write(headOf(answered.statusCode ?? 502, { ...answered.headers, connection: 'close' }));
      answered.pipe(socket);
    });
    further.on('error', () => socket.end(headOf(502, { connection: 'close' })));
    socket.on('close', () => further.destroy());
    return further.end();
  });
  return { server, url: `http://127.0.0.1:${bound}${OPEN}?${oneTime}` };
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** Removes the browser's cookie and origin, which have no meaning for the service on the socket. */
function forwarded(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const known = Object.entries(headers).filter(([name]) => name !== 'cookie' && name !== 'origin');
  return { ...Object.fromEntries(known), host: 'localhost' };
}

function refuse(answer: ServerResponse, { status, text }: Refusal): void {
  answer.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  answer.end(`${text}\n`);
}

function headOf(status: number, headers: IncomingHttpHeaders): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}`);
  return `${[`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines].join('\r\n')}\r\n\r\n`;
}
