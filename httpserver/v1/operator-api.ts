/**
 * The operator's API, `/v1`. It is served on the HTTPS port, for clients with a token, and on the unix socket, for
 * root. Its OpenAPI document describes it.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors/service-error.ts';
import type { Gate } from '../gate.ts';
import type { Hosting } from '../hosting.ts';
import { type Authority, askWho } from './authority.ts';
import { addContainerRoutes } from './container-routes.ts';
import { addCreateRoutes, type CreateOptions } from './create-routes.ts';
import { addHostRoutes } from './host-routes.ts';
import { addImageRoutes } from './image-routes.ts';
import { addLogRoutes } from './log-routes.ts';
import { addNodeRoutes } from './node-routes.ts';
import type { Operations } from './operations.ts';
import { addPoolRoutes } from './pool-routes.ts';
import { Routes } from './routes.ts';
import { addTerminalRoutes } from './terminal-routes.ts';
import { addUserConfigRoutes } from './user-config-routes.ts';

export interface OperatorOptions {
  readonly authority: Authority;
  readonly operations: Operations;
  readonly create: CreateOptions;
  /** Aborts when the server closes, to end endless responses. */
  readonly closing: AbortSignal;
}

const PREFIX = '/v1';

export function isOperatorPath(url: string): boolean {
  return url.startsWith(`${PREFIX}/`);
}

/** @returns undefined if there is no body */
function parseBody(body: string): unknown {
  try {
    return body === '' ? undefined : JSON.parse(body);
  } catch {
    // The parser's own message quotes the body, which may contain secrets.
    throw new ServiceError('request.invalid', { part: 'body', why: 'it is not JSON' });
  }
}

export function addOperatorApi(
  app: FastifyInstance,
  gate: Gate<Hosting>,
  { authority, operations, create, closing }: OperatorOptions,
): void {
  app.register(
    async (api) => {
      askWho(api, authority);
      api.removeAllContentTypeParsers();
      api.addContentTypeParser(
        'application/json',
        { parseAs: 'string' },
        async (_: FastifyRequest, body: string) => parseBody(body),
      );
      const routes = new Routes(api, authority);
      addContainerRoutes(routes, gate, closing);
      addCreateRoutes(routes, gate, create, closing);
      addPoolRoutes(routes, gate, create);
      addLogRoutes(routes, gate, closing);
      addUserConfigRoutes(routes, gate);
      addTerminalRoutes(routes, gate, operations, closing);
      addNodeRoutes(routes, gate, operations, closing);
      addHostRoutes(routes, operations);
      addImageRoutes(routes, gate, closing);
      routes.refuseOthers();
    },
    { prefix: PREFIX },
  );
}
