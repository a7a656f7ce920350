/** Identifies the callers of the operator's API: root on the socket, or a client with a token. */

import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors/service-error.ts';
import { sameSecret } from '../../settings/secret.ts';
import { Attempts, MOST_ATTEMPTS } from '../attempts.ts';
import { mayAct, type Principal } from '../principal.ts';

/** The other facts about a request that matter. */
export interface Asking {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** Identifies the caller by the header `Authorization` and the address of the request. @throws {ServiceError} */
export type Authority = (authorization: string | undefined, address: string, asking?: Asking) => Principal;

/** Returns the token in effect; undefined: there is none, and nobody can use it. */
export type Token = () => string | undefined;

/** Checks each request to `app` before its body is read. A viewer gets access only to routes that change nothing. */
export function askWho(app: FastifyInstance, authority: Authority): void {
  app.addHook('onRequest', async (request) => {
    const principal = ask(authority, request);
    request.principal = principal;
    if (!request.routeOptions.config.looksOnly) throwUnlessActs(principal);
  });
}

/** @throws {ServiceError} `request.looks_only` */
export function throwUnlessActs(principal: Principal): void {
  if (!mayAct(principal)) throw new ServiceError('request.looks_only', {});
}

function ask(authority: Authority, { method, headers, socket }: FastifyRequest): Principal {
  return authority(headers.authorization, socket.remoteAddress ?? 'unknown', { method, headers });
}

/**
 * Checks whether a stream may continue, because its token may have been replaced or become a viewer's.
 * @throws {ServiceError}
 */
export function askAgain(authority: Authority, request: FastifyRequest): void {
  if (ask(authority, request).kind !== request.principal?.kind)
    throw new ServiceError('request.no_operator', {});
}

/** For callers that the kernel has already checked. */
export const rootAlone: Authority = () => ({ kind: 'root', from: 'unix socket' });

/**
 * For clients with a token. An address with many wrong tokens gets an error that says so, but the right token is always
 * accepted.
 */
export function whoKnows(operator: Token, viewer: Token = () => undefined): Authority {
  const attempts = new Attempts();
  return (authorization = '', address) => {
    const given = /^Bearer +([^ ]+)$/i.exec(authorization)?.[1];
    const isToken = (wanted: string | undefined) =>
      given !== undefined && wanted !== undefined && sameSecret(given, wanted);
    const [acts, looks] = [isToken(operator()), isToken(viewer())];
    // A token that is also given to viewers has a viewer's rights.
    if (acts || looks) return { kind: looks ? 'viewer' : 'operator', from: address };
    if (attempts.count(address) > MOST_ATTEMPTS) throw new ServiceError('request.too_many_attempts', {});
    throw new ServiceError('request.no_operator', {});
  };
}
