/**
 * Declares the routes of the operator's API with their schemas. The OpenAPI document is generated from the same
 * declarations.
 */

import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, HTTPMethods } from 'fastify';
import { type Static, type TObject, type TSchema, Type } from 'typebox';
import type { WebSocket } from 'ws';
import { ServiceError } from '../../errors/service-error.ts';
import { misfit } from '../../parsing/json.ts';
import type { Principal } from '../principal.ts';
import { type Authority, askAgain } from './authority.ts';
import { goneWith, type Sent, sendEvents } from './event-stream.ts';
import { Handshakes } from './handshakes.ts';
import { type Given, Problem } from './schemas.ts';

interface Shape<P extends TSchema, Q extends TSchema, B extends TSchema = TSchema> {
  readonly summary: string;
  readonly description?: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly headers?: TObject;
}

interface Asked<P extends TSchema, Q extends TSchema, B extends TSchema = TSchema> {
  readonly params: Static<P>;
  readonly query: Static<Q>;
  readonly body: Static<B>;
  readonly headers: IncomingHttpHeaders;
  readonly principal: Principal;
}

/** An answer with another status than the route's usual one. */
class Other {
  readonly status: number;
  readonly body: object;

  constructor(status: number, body: object) {
    this.status = status;
    this.body = body;
  }
}

type OtherAnswer = (status: number, body: object) => Other;

interface Route<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema>
  extends Shape<P, Q, B> {
  readonly answer: A;
  /** The status of a successful answer; default: 200. */
  readonly status?: number;
  /** The schemas of answers with other statuses. */
  readonly others?: Readonly<Record<number, TSchema>>;
  /** Serialises the answer; default: the usual JSON. */
  readonly write?: (answer: Given<Static<A>>) => string;
  readonly handle: (asked: Asked<P, Q, B>, other: OtherAnswer) => Promise<Given<Static<A>> | Other>;
  /** The alternative for clients that accept events. */
  readonly events?: Events<P, Q, B>;
}

interface Events<P extends TSchema, Q extends TSchema, B extends TSchema> {
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
  /** @param signal aborts when the client has disconnected @throws an error that is answered instead of a stream */
  readonly handle: (
    asked: Asked<P, Q, B>,
    signal: AbortSignal,
  ) => AsyncIterable<Sent> | Promise<AsyncIterable<Sent>>;
}

interface Stream<P extends TSchema, Q extends TSchema, B extends TSchema> extends Shape<P, Q, B> {
  /** Default: GET. */
  readonly method?: Method;
  readonly handle: Events<P, Q, B>['handle'];
}

/** The other end of a WebSocket. */
export interface Joined {
  /** @param askAgain throws when the caller may not continue */
  join(socket: WebSocket, askAgain: () => void): Promise<void>;
  /** Called instead of `join` if the caller has disconnected. */
  abandon(): void;
}

interface SocketRoute<P extends TSchema, Q extends TSchema> extends Shape<P, Q> {
  /** @throws {ServiceError} which is answered as a problem instead of a handshake */
  readonly handle: (asked: Asked<P, Q>) => Promise<Joined>;
  /** Whether a viewer may use the route, which then checks the rights itself. */
  readonly looksOnly?: boolean;
}

const EVENTS = 'text/event-stream';

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'] as const;
type Method = (typeof METHODS)[number];

export class Routes {
  readonly #app: FastifyInstance;
  readonly #authority: Authority;
  readonly #handshakes: Handshakes;
  readonly #methods = new Map<string, Method[]>();

  /** @param authority is asked again while an endless response continues */
  constructor(app: FastifyInstance, authority: Authority) {
    this.#app = app;
    this.#authority = authority;
    this.#handshakes = new Handshakes(app);
    app.setValidatorCompiler(({ schema, httpPart = 'request' }) => (given: unknown) => {
      const value = httpPart === 'body' ? given : fromTexts(schema as TObject, given);
      const why = misfit(schema as TSchema, value);
      if (why === undefined) return { value };
      return { error: new ServiceError('request.invalid', { part: PARTS[httpPart] ?? httpPart, why }) };
    });
    app.setSerializerCompiler(() => JSON.stringify);
  }

  add<P extends TSchema, Q extends TSchema, B extends TSchema, A extends TSchema>(
    method: Method,
    url: string,
    { handle, answer, status = 200, others = {}, write, events, ...shape }: Route<P, Q, B, A>,
  ): void {
    this.#note(method, url);
    this.#app.route({
      method,
      url,
      config: { looksOnly: method === 'GET' },
      schema: schemaOf(shape, { ...others, [status]: answer }),
      handler: async (request, reply) => {
        const asked = askedBy(request) as Asked<P, Q, B>;
        const { headers } = request;
        if (events && headers.accept?.includes(EVENTS))
          return await this.#send(request, reply, asked, events);
        const answered = await handle(asked, (other, what) => new Other(other, what));
        if (answered instanceof Other) return reply.code(answered.status).send(answered.body);
        if (write) reply.serializer(write);
        return reply.code(status).send(answered);
      },
    });
  }

  /** Adds a route with server-sent events. @param closing aborts when the server closes */
  stream<P extends TSchema, Q extends TSchema, B extends TSchema>(
    url: string,
    closing: AbortSignal,
    { method = 'GET', handle, ...shape }: Stream<P, Q, B>,
  ): void {
    this.#note(method, url);
    this.#app.route({
      method,
      url,
      exposeHeadRoute: false,
      config: { looksOnly: method === 'GET' },
      schema: schemaOf(shape, { 200: Type.String() }, EVENTS),
      handler: async (request, reply) => {
        const asked = askedBy(request) as Asked<P, Q, B>;
        await this.#send(request, reply, asked, { closing, handle });
      },
    });
  }

  async #send<P extends TSchema, Q extends TSchema, B extends TSchema>(
    request: FastifyRequest,
    reply: FastifyReply,
    asked: Asked<P, Q, B>,
    { closing, handle }: Events<P, Q, B>,
  ): Promise<void> {
    // The token may be replaced while the stream continues.
    const gone = goneWith(reply.raw, () => askAgain(this.#authority, request));
    const signal = AbortSignal.any([closing, gone]);
    const events = await handle(asked, signal);
    reply.hijack();
    await sendEvents(reply.raw, events, signal);
  }

  /** Adds a route with a WebSocket. */
  socket<P extends TSchema, Q extends TSchema>(
    url: string,
    { handle, looksOnly = false, ...shape }: SocketRoute<P, Q>,
  ): void {
    this.#note('GET', url);
    this.#app.get(url, {
      exposeHeadRoute: false,
      config: { looksOnly },
      schema: schemaOf(shape, { 101: Type.String() }),
      handler: async (request, reply) => {
        const { raw } = request;
        this.#handshakes.check(raw);
        const joined = await handle(askedBy(request) as Asked<P, Q>);
        reply.hijack();
        const socket = await this.#handshakes.accept(raw);
        if (!socket) return joined.abandon();
        await joined.join(socket, () => askAgain(this.#authority, request));
      },
    });
  }

  #note(method: Method, url: string): void {
    this.#methods.set(url, [...(this.#methods.get(url) ?? []), method]);
  }

  /** To be called last: answers other methods of each path with the methods that it has. */
  refuseOthers(): void {
    for (const [url, methods] of this.#methods) {
      const expected = methods.join(', ');
      this.#app.route({
        method: METHODS.filter((method) => !methods.includes(method)) as HTTPMethods[],
        url,
        config: { looksOnly: true },
        schema: { hide: true } as FastifySchema,
        handler: async ({ method }, reply) => {
          reply.header('allow', expected);
          throw new ServiceError('request.wrong_method', { expected, got: method });
        },
      });
    }
  }
}

function askedBy({ params, query, body, headers, principal }: FastifyRequest) {
  return { params, query, body, headers, principal };
}

/** Paths and queries consist of texts. This converts those that the schema declares as numbers or booleans. */
function fromTexts({ properties }: TObject, given: unknown): unknown {
  return Object.fromEntries(
    Object.entries(given as object).map(([name, text]) => [name, fromText(properties[name], text)]),
  );
}

function fromText(schema: object | undefined, text: unknown): unknown {
  const type = schema && 'type' in schema ? schema.type : undefined;
  if (type === 'array') return [text].flat();
  if (typeof text !== 'string') return text;
  if (type === 'integer' && /^-?(0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

const PARTS: Readonly<Record<string, string>> = {
  params: 'path',
  querystring: 'query',
  headers: 'headers',
  body: 'body',
};

function schemaOf<P extends TSchema, Q extends TSchema>(
  { summary, description, params, query, body, headers }: Shape<P, Q>,
  answers: Readonly<Record<number, TSchema>>,
  type = 'application/json',
): FastifySchema {
  return {
    summary,
    ...(description && { description }),
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(body && { body }),
    ...(headers && { headers }),
    response: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, schema]) => [
          status,
          { description: 'Success.', content: { [type]: { schema } } },
        ]),
      ),
      default: {
        description: 'Failure.',
        content: { 'application/problem+json': { schema: Problem } },
      },
    },
  } as FastifySchema;
}
