/** The HTTPS server: limits, the order of checks, and the one place where errors become answers. */

import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify';
import type { TSchema } from 'typebox';
import { misfit } from '../container/json.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { Attempts, MOST_ATTEMPTS } from './attempts.ts';
import type { CertificateKeeper } from './certificate-keeper.ts';
import { PLAIN, problemAnswer, wireAnswer } from './error-bodies.ts';
import { parseJsonObject } from './json-body.ts';
import {
  addPredecessorRoutes,
  type PredecessorOptions,
  SPIN_UP,
  START_VALUES,
  TOKEN,
} from './predecessor-routes.ts';
import { addStatusRoutes, HEALTH, VERSION, type Version } from './status-routes.ts';

export interface ServerOptions extends PredecessorOptions {
  readonly address: string;
  readonly port: number;
  readonly certificate: CertificateKeeper;
  readonly version: Version;
  readonly log: Logger;
}

const JSON_TYPE = 'application/json';
/** Bytes of a request's body. */
const MOST_BODY = 64 * 1024;
const MOST_CONNECTIONS = 1024;
const MOST_CONNECTIONS_OF_AN_ADDRESS = 256;
/** Characters of a path that the log shows. */
const MOST_PATH = 100;
/** Milliseconds: for the TLS handshake, a request's headers, all of a request; between looks; idle. */
const HANDSHAKE = 10_000;
const HEADERS = 10_000;
const REQUEST = 30_000;
const CHECK = 2_000;
const IDLE = 5_000;
/** How long answers may take to leave once the server closes. */
const LINGER = 5_000;

type App = FastifyInstance<Server>;

/** Listens until the lifetime ends. @throws {ServiceError} `start.listen` */
export async function serveHttps(lifetime: Lifetime, options: ServerOptions): Promise<void> {
  const { address, port, certificate } = options;
  const server = await lifetime.acquire({
    kind: 'listener',
    what: `https://${address}:${port}`,
    take: () => listen(options),
    release: (listening) => close(listening),
    seenGone: ({ app, sockets }) => {
      if (!app.server.listening && sockets.size === 0) return 'closed, and no connection is left';
      throw new ServiceError('still.there', {
        what: 'the listener',
        why: `${sockets.size} connections are open`,
      });
    },
    deadline: 2 * LINGER,
  });
  certificate.keep(lifetime, (pair) =>
    server.app.server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' }),
  );
}

declare module 'fastify' {
  /** What the log says of an answer. */
  interface FastifyReply {
    from: string | undefined;
    error: ServiceError | undefined;
  }
}

interface Listening {
  readonly app: App;
  readonly sockets: Set<Socket>;
}

async function listen(options: ServerOptions): Promise<Listening> {
  const { address, port } = options;
  const app = build(options);
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    const own = [...sockets].filter(({ remoteAddress }) => remoteAddress === socket.remoteAddress);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (own.length >= MOST_CONNECTIONS_OF_AN_ADDRESS) socket.destroy();
  });
  app.server.maxConnections = MOST_CONNECTIONS;
  try {
    await app.listen({ host: address, port });
    return { app, sockets };
  } catch (error) {
    await app.close();
    throw new ServiceError('start.listen', { address, port, why: messageOf(error) }, { cause: error });
  }
}

function build({ certificate, log, gate, version, ...options }: ServerOptions): App {
  const app = fastify({
    https: {
      ...certificate.pair,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE,
      headersTimeout: HEADERS,
      connectionsCheckingInterval: CHECK,
    },
    bodyLimit: MOST_BODY,
    requestTimeout: REQUEST,
    keepAliveTimeout: IDLE,
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseConnection,
    // A path that cannot be decoded leads nowhere.
    frameworkErrors: (_, request, reply) => {
      answer(new ServiceError('request.not_found', {}), request, reply);
    },
  });
  // Types are as they were sent, and fields that nobody knows are ignored.
  app.setValidatorCompiler(({ schema }) => (body: unknown) => {
    const why = misfit(schema as TSchema, body);
    return why === undefined || { error: new ServiceError('request.malformed', { why }) };
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    JSON_TYPE,
    { parseAs: 'buffer' },
    async (_: FastifyRequest, body: string | Buffer) => parseJsonObject(body as Buffer),
  );
  // Before the body is read: neither an unknown path nor a wrong method is a reason to read one.
  app.addHook('onRequest', async (request, reply) => {
    // Later the connection may be gone, and its address with it.
    reply.from = request.socket.remoteAddress;
    if (request.is404) throw noRoute(request, options.spinUp);
    // Callers have never been asked for a content type, so whatever it says is not looked at.
    request.raw.headers['content-type'] = JSON_TYPE;
  });
  app.decorateReply('from', undefined);
  app.decorateReply('error', undefined);
  const refused = new Attempts();
  app.addHook('onResponse', async ({ method, url }, reply) => {
    const { error, from, statusCode: status } = reply;
    const line = {
      method,
      path: pathOf(url).slice(0, MOST_PATH),
      status,
      ms: Math.round(reply.elapsedTime),
      from,
    };
    // Who is refused by the hundred fills no log.
    const many = error && refused.count(from ?? '') > MOST_ATTEMPTS;
    log[many ? 'debug' : 'info'](error ? { ...line, why: error.message } : line, 'answered');
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    reply.error = toServiceError(error, log);
    return answer(reply.error, request, reply);
  });
  addStatusRoutes(app, gate, version);
  addPredecessorRoutes(app, { gate, ...options });
  return app;
}

function noRoute({ method, url }: FastifyRequest, spinUp: boolean): ServiceError {
  const puts = [START_VALUES, TOKEN, ...(spinUp ? [SPIN_UP] : [])];
  const expected = puts.includes(pathOf(url)) ? 'PUT' : isStatusPath(url) ? 'GET' : undefined;
  if (expected) return new ServiceError('request.wrong_method', { expected, got: method });
  return new ServiceError('request.not_found', {});
}

function isStatusPath(url: string): boolean {
  return [HEALTH, VERSION].includes(pathOf(url));
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] as string;
}

function answer(error: ServiceError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { status, contentType, body } = isStatusPath(request.url) ? problemAnswer(error) : wireAnswer(error);
  return reply.code(status).type(contentType).send(body);
}

/** Everything that can go wrong with a request, as a row of the table. */
function toServiceError(error: FastifyError, log: Logger): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new ServiceError('request.too_large', { limit: MOST_BODY });
  if ((error.statusCode ?? 500) < 500) {
    return new ServiceError('request.malformed', { why: error.message }, { cause: error });
  }
  log.error({ error }, 'a request failed');
  return new ServiceError('internal', {}, { cause: error });
}

/** Answers what is no HTTP request, or does not become one in time, and closes the connection. */
function refuseConnection({ code }: NodeJS.ErrnoException, socket: Socket): void {
  const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
  const head = `HTTP/1.1 ${status}\r\nContent-Type: ${PLAIN}\r\nConnection: close`;
  if (socket.writable) socket.write(`${head}\r\n\r\nMalformed request\n`);
  socket.destroy();
}

/** Answers that are under way get a while to leave; idle connections, also those that become idle, none. */
async function close({ app, sockets }: Listening): Promise<void> {
  const sweep = setInterval(() => app.server.closeIdleConnections(), 20);
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.destroy();
  }, LINGER);
  try {
    await app.close();
    await Promise.all([...sockets].map(destroyed));
  } finally {
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

function destroyed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()).destroy());
}
