/** What all servers share: limits, the order of checks, and the conversion of errors to answers. */

import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify';
import type { TSchema } from 'typebox';
import { ServiceError } from '../errors/service-error.ts';
import type { Logger } from '../logging/logger.ts';
import { misfit } from '../parsing/json.ts';
import { answerInTurn } from './answers-in-turn.ts';
import { Attempts, MOST_ATTEMPTS } from './attempts.ts';
import { addConsoleRoutes, isConsolePath } from './console/console-routes.ts';
import type { Sessions } from './console/sessions.ts';
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
  /** undefined: every caller of this server is already authorized and needs no session. */
  readonly sessions?: Sessions;
  /** Paths that accept only PUT. */
  readonly puts: readonly string[];
  readonly log: Logger;
}

const JSON_TYPE = 'application/json';
/** The maximum size of a request body in bytes. */
const MOST_BODY = 64 * 1024;
/** The maximum number of characters of a path in the log. */
const MOST_PATH = 100;
/** Time limits in milliseconds: for a complete request, and for an idle connection. */
const REQUEST = 30_000;
const IDLE = 5_000;

/** Options for the HTTP server below fastify. */
export const BELOW = { shouldUpgradeCallback: asksForWebSocket, requireHostHeader: false } as const;

/** Types are not coerced, and unknown fields are ignored. */
function validatorOf({ schema }: { readonly schema: unknown }) {
  return (body: unknown) => {
    const why = misfit(schema as TSchema, body);
    return why === undefined || { error: new ServiceError('request.malformed', { why }) };
  };
}

type Compilers = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;

/** With these, fastify does not load its own compilers, which are larger than the rest of it. */
const compilersFactory = {
  buildValidator: () => validatorOf,
  buildSerializer: () => () => JSON.stringify,
} as unknown as Compilers;

/** Options for fastify. */
export const LIMITS = {
  schemaController: { compilersFactory },
  bodyLimit: MOST_BODY,
  requestTimeout: REQUEST,
  keepAliveTimeout: IDLE,
  forceCloseConnections: 'idle',
  // The gate decides that. During a hand-over, requests on open connections are answered as usual.
  return503OnClosing: false,
  // See answers-in-turn.ts.
  clientErrorHandler: () => {},
  // A path that cannot be decoded is answered as not found.
  frameworkErrors: (_: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    answer(new ServiceError('request.not_found', {}), request, reply);
  },
} as const;

declare module 'fastify' {
  /** The parts of an answer that the log contains. */
  interface FastifyReply {
    from: string | undefined;
    error: ServiceError | undefined;
  }
}

/** Adds the shared parts to a server. */
export function equip(app: FastifyInstance, options: AppOptions): void {
  const { gate, version, operator, metrics, sessions, puts, log } = options;
  closeGently(app.server);
  answerInTurn(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    JSON_TYPE,
    { parseAs: 'buffer' },
    async (_: FastifyRequest, body: string | Buffer) => parseJsonObject(body as Buffer),
  );
  // This runs before the body is read, because a request with an unknown path or a wrong method needs no body.
  app.addHook('onRequest', async (request, reply) => {
    // The connection may close later, and then its address is no longer available.
    reply.from = request.socket.remoteAddress;
    const { httpVersion, headers } = request.raw;
    if (httpVersion === '1.1' && headers.host === undefined) throw new ServiceError('request.no_host', {});
    if (request.is404) throw noRoute(request, puts);
    // The predecessor's callers were never required to send a content type, so it is ignored.
    request.raw.headers['content-type'] = JSON_TYPE;
  });
  app.decorateRequest('principal', undefined);
  app.decorateReply('from', undefined);
  app.decorateReply('error', undefined);
  logAnswers(app, log);
  app.setErrorHandler((error: FastifyError, request, reply) => {
    reply.error = toServiceError(error, log);
    // Fastify closes the connection after each unusable body. If the whole body was read, that is unnecessary.
    if (request.raw.complete) reply.removeHeader('connection');
    return answer(reply.error, request, reply);
  });
  addStatusRoutes(app, gate, version);
  addOperatorApi(app, gate, operator);
  addConsoleRoutes(app, operator.authority, sessions);
  app.register(async (guarded) => {
    // The number of containers is not public.
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
    // Many refusals of one address must not fill the log.
    const many = error && refused.count(from ?? '') > MOST_ATTEMPTS;
    log[many ? 'debug' : 'info'](error ? { ...line, why: error.message } : line, 'answered');
  };
  app.addHook('onResponse', async (request, reply) => tell(request, reply));
  app.addHook('onRequest', async (request, reply) => {
    const { raw } = reply;
    // An answer that lasts until its client disconnects, such as events, has no other end.
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
 * The route's own path, because its handling does not depend on how the request spells the path. If no route matches,
 * the requested path without escapes.
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
  // A request target may contain the host.
  return url.replace(/^https?:\/\/[^/]*/i, '').split('?', 1)[0] as string;
}

function answer(error: ServiceError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = routeOf(request);
  const isProblem = isStatusPath(path) || isOperatorPath(path) || isConsolePath(path);
  if (error.code === 'request.no_operator') reply.header('www-authenticate', 'Bearer');
  const { status, contentType, body, isLine } = isProblem ? problemAnswer(error) : wireAnswer(error);
  if (isLine) reply.header(...NO_SNIFFING);
  return reply.code(status).type(contentType).send(body);
}

/** Converts any error of a request into an error of the table. */
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
