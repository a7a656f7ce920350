/** What the servers have in common: limits, the order of checks, and the one place where errors become answers. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { ServiceError } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import { misfit } from '../parsing/json.ts';
import { answerInTurn } from './answers-in-turn.ts';
import { Attempts, MOST_ATTEMPTS } from './attempts.ts';
import { NO_SNIFFING, problemAnswer, wireAnswer } from './error-bodies.ts';
import type { Gate } from './gate.ts';
import { closeGently } from './gentle-close.ts';
import type { Hosting } from './hosting.ts';
import { parseJsonObject } from './json-body.ts';
import { addMetricsRoute, METRICS, type MetricsSource } from './metrics-route.ts';
import { addStatusRoutes, HEALTH, VERSION, type Version } from './status-routes.ts';
import { askWho } from './v1/authority.ts';
import { asksForWebSocket } from './v1/handshakes.ts';
import { addOperatorApi, isOperatorPath, type OperatorOptions } from './v1/operator-api.ts';

export interface AppOptions {
  readonly gate: Gate<Hosting>;
  readonly version: Version;
  readonly operator: OperatorOptions;
  readonly metrics: MetricsSource;
  /** Paths that are asked for by PUT alone. */
  readonly puts: readonly string[];
  readonly log: Logger;
}

const JSON_TYPE = 'application/json';
/** Bytes of a request's body. */
const MOST_BODY = 64 * 1024;
/** Characters of a path that the log shows. */
const MOST_PATH = 100;
/** Milliseconds: all of a request; idle. */
const REQUEST = 30_000;
const IDLE = 5_000;

/** For the server below fastify. */
export const BELOW = { shouldUpgradeCallback: asksForWebSocket, requireHostHeader: false } as const;

/** For fastify. */
export const LIMITS = {
  bodyLimit: MOST_BODY,
  requestTimeout: REQUEST,
  keepAliveTimeout: IDLE,
  forceCloseConnections: 'idle',
  // See answers-in-turn.ts.
  clientErrorHandler: () => {},
  // A path that cannot be decoded leads nowhere.
  frameworkErrors: (_: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    answer(new ServiceError('request.not_found', {}), request, reply);
  },
} as const;

declare module 'fastify' {
  /** What the log says of an answer. */
  interface FastifyReply {
    from: string | undefined;
    error: ServiceError | undefined;
  }
}

/** Adds to a server what all have. */
export function equip(app: FastifyInstance, options: AppOptions): void {
  const { gate, version, operator, metrics, puts, log } = options;
  closeGently(app.server);
  answerInTurn(app);
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
    const { httpVersion, headers } = request.raw;
    if (httpVersion === '1.1' && headers.host === undefined) throw new ServiceError('request.no_host', {});
    if (request.is404) throw noRoute(request, puts);
    // Callers have never been asked for a content type, so whatever it says is not looked at.
    request.raw.headers['content-type'] = JSON_TYPE;
  });
  app.decorateRequest('principal', undefined);
  app.decorateReply('from', undefined);
  app.decorateReply('error', undefined);
  logAnswers(app, log);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    reply.error = toServiceError(error, log);
    // Fastify closes the connection after each body that cannot be used; where all of it was read there is no need.
    if (request.raw.complete) reply.removeHeader('connection');
    return answer(reply.error, request, reply);
  });
  addStatusRoutes(app, gate, version);
  addOperatorApi(app, gate, operator);
  app.register(async (guarded) => {
    // How many containers a host has is no matter of anybody's.
    askWho(guarded, operator.authority);
    addMetricsRoute(guarded, metrics);
  });
}

function logAnswers(app: FastifyInstance, log: Logger): void {
  const refused = new Attempts();
  const tell = ({ method, url, principal }: FastifyRequest, reply: FastifyReply) => {
    const { error, from, statusCode: status } = reply;
    const line = {
      method,
      path: pathOf(url).slice(0, MOST_PATH),
      status,
      ms: Math.round(reply.elapsedTime),
      from,
      ...(principal && { principal: principal.kind }),
    };
    // Who is refused by the hundred fills no log.
    const many = error && refused.count(from ?? '') > MOST_ATTEMPTS;
    log[many ? 'debug' : 'info'](error ? { ...line, why: error.message } : line, 'answered');
  };
  app.addHook('onResponse', async (request, reply) => tell(request, reply));
  app.addHook('onRequest', async (request, reply) => {
    const { raw } = reply;
    // What goes on until its client does, such as events, has no other end.
    raw.once('close', () => raw.headersSent && !raw.writableFinished && tell(request, reply));
  });
}

function noRoute(request: FastifyRequest, puts: readonly string[]): ServiceError {
  const path = routeOf(request);
  const expected = puts.includes(path) ? 'PUT' : isStatusPath(path) ? 'GET' : undefined;
  if (expected) return new ServiceError('request.wrong_method', { expected, got: request.method });
  return new ServiceError('request.not_found', {});
}

function isStatusPath(path: string): boolean {
  return [HEALTH, VERSION, METRICS].includes(path);
}

/**
 * The path of the route that answers: what it is for does not depend on how a request writes it. Where no route answers,
 * the path that was asked for, with nothing escaped.
 */
function routeOf({ is404, routeOptions, url }: FastifyRequest): string {
  if (!is404 && routeOptions.url !== undefined) return routeOptions.url;
  try {
    return decodeURIComponent(pathOf(url));
  } catch {
    return pathOf(url);
  }
}

function pathOf(url: string): string {
  // A request may name the host too.
  return url.replace(/^https?:\/\/[^/]*/i, '').split('?', 1)[0] as string;
}

function answer(error: ServiceError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = routeOf(request);
  const isProblem = isStatusPath(path) || isOperatorPath(path);
  if (error.code === 'request.no_operator') reply.header('www-authenticate', 'Bearer');
  const { status, contentType, body, isLine } = isProblem ? problemAnswer(error) : wireAnswer(error);
  if (isLine) reply.header(...NO_SNIFFING);
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
