/**
 * The predecessor's three calls, which the webserver, the client app and local scripts make. The order of checks is
 * method, body, secret, types. New calls do not belong here.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { developersMounts } from '../container/creation/developers-mounts.ts';
import { parseMountCommand } from '../container/creation/mount-command.ts';
import { spinUp } from '../container/spin-up.ts';
import { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode } from '../errors/table.ts';
import { type Secret, sameSecret } from '../settings/secret.ts';
import { Attempts, MOST_ATTEMPTS } from './attempts.ts';
import { PLAIN } from './error-bodies.ts';
import type { Gate } from './gate.ts';
import type { Hosting } from './hosting.ts';
import { foldKeys } from './json-body.ts';

export interface PredecessorOptions {
  readonly gate: Gate<Hosting>;
  readonly secret: Secret;
  /** Whether `/spin_up_container` exists: only in localdev. */
  readonly spinUp: boolean;
}

export const SPIN_UP = '/spin_up_container';
export const START_VALUES = '/set_container_start_values';
export const TOKEN = '/set_config_encryption_token';

/** The local scripts set up their container at this port, whatever its real port is. */
const PORT_OF_SCRIPTS = 32_262;

/** JSON null counts as a missing field. Keys match regardless of case, so schemas have lower-case keys. */
const text = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const integer = Type.Optional(
  Type.Union([
    Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER }),
    Type.Null(),
  ]),
);

const StartValuesBody = Type.Object({
  host_port: integer,
  dpi: integer,
  container_arn: text,
  user_id: text,
  client_app_auth_secret: text,
});

const TokenBody = Type.Object({
  host_port: integer,
  user_id: text,
  client_app_auth_secret: text,
  config_encryption_token: text,
});

const SpinUpBody = Type.Object({
  app_name: text,
  app_image: text,
  mount_command: text,
  protocol_timeout: integer,
});

/** Adds the routes to `app`. */
export function addPredecessorRoutes(app: FastifyInstance, options: PredecessorOptions): void {
  addStartValues(app, options);
  addToken(app, options);
  if (options.spinUp) addSpinUp(app, options);
}

function addStartValues(app: FastifyInstance, { gate, secret }: PredecessorOptions): void {
  put(app, START_VALUES, StartValuesBody, secret, (body) =>
    gate.pass(async ({ tracker }) => {
      await tracker.setUpAt(body.host_port ?? 0).assign({
        dpi: body.dpi ?? null,
        containerArn: body.container_arn ?? '',
        userId: body.user_id ?? '',
        clientAppAuthSecret: body.client_app_auth_secret ?? '',
      });
      return '';
    }),
  );
}

/** The client app does not know the webserver's secret. Its data is checked against the start values. */
function addToken(app: FastifyInstance, { gate }: PredecessorOptions): void {
  const attempts = new Attempts();
  put(app, TOKEN, TokenBody, undefined, (body, request) =>
    gate.pass(async ({ tracker }) => {
      const source = request.principal?.from ?? 'unknown';
      const offer = {
        userId: body.user_id ?? '',
        clientAppAuthSecret: body.client_app_auth_secret ?? '',
        configEncryptionToken: body.config_encryption_token ?? '',
        source,
      };
      try {
        const outcome = await tracker.setUpAt(body.host_port ?? 0).offer(offer, attempts.areLeft(source));
        if (outcome === 'kept') attempts.count(source);
      } catch (error) {
        if (!isWrongAttempt(error) || attempts.count(source) <= MOST_ATTEMPTS) throw error;
        throw new ServiceError('container.too_many_attempts', {});
      }
      return '';
    }),
  );
}

function isWrongAttempt(error: unknown): boolean {
  const wrong: ErrorCode[] = [
    'container.unknown_port',
    'container.token_mismatch',
    'container.too_many_tokens',
  ];
  return error instanceof ServiceError && wrong.includes(error.code);
}

function addSpinUp(app: FastifyInstance, { gate, secret }: PredecessorOptions): void {
  put(app, SPIN_UP, SpinUpBody, secret, (body) =>
    gate.pass(async ({ tracker, kept, images }) => {
      const request = {
        appName: body.app_name ?? '',
        appImage: body.app_image ?? '',
        mounts: developersMounts(
          parseMountCommand(body.mount_command ?? ''),
          tracker.host.paths,
          tracker.host.docker.socket,
        ),
        protocolTimeout: body.protocol_timeout ?? 0,
        identifyingPort: PORT_OF_SCRIPTS,
      };
      const { dockerId = '' } = await spinUp(tracker, kept, request, (image) =>
        images.find(image, 'missing'),
      );
      return dockerId;
    }),
  );
}

type Handler<S extends TSchema> = (body: Static<S>, request: FastifyRequest) => Promise<string>;

/** @param secret the expected `auth_secret`; undefined: the call needs none */
function put<S extends TSchema>(
  app: FastifyInstance,
  path: string,
  schema: S,
  secret: Secret | undefined,
  handle: Handler<S>,
): void {
  app.put(path, {
    schema: { body: schema },
    preValidation: async (request) => {
      const body = request.body as Record<string, unknown>;
      if (secret) authenticate(body.auth_secret, secret);
      const from = request.socket.remoteAddress ?? 'unknown';
      request.principal = { kind: secret ? 'webserver' : 'client app', from };
      request.body = foldKeys(body);
    },
    handler: async (request, reply) => {
      const result = await handle(request.body as Static<S>, request);
      return reply.type(PLAIN).send(JSON.stringify({ result }));
    },
  });
}

function authenticate(given: unknown, secret: Secret): void {
  if (typeof given === 'string' && sameSecret(given, secret.reveal())) return;
  throw new ServiceError('request.unauthorized', {});
}
