/** Who calls the operator's API: root on the socket, or whoever knows a token. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors/service-error.ts';
import { sameSecret } from '../../settings/secret.ts';
import { Attempts, MOST_ATTEMPTS } from '../attempts.ts';
import { mayAct, type Principal } from '../principal.ts';

/** Says who makes a request, by its header `Authorization` and the address that it came from. @throws {ServiceError} */
export type Authority = (authorization: string | undefined, address: string) => Principal;

/** The one that counts at this moment; undefined: nobody is let in with it. */
export type Token = () => string | undefined;

/** Asks of each request to `app`, before its body is read. A viewer comes no further than to what only looks. */
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

function ask(authority: Authority, { headers, socket }: FastifyRequest): Principal {
  return authority(headers.authorization, socket.remoteAddress ?? 'unknown');
}

/** Whether what goes on may go on: its token may have been replaced, or given to a viewer. @throws {ServiceError} */
export function askAgain(authority: Authority, request: FastifyRequest): void {
  if (ask(authority, request).kind !== request.principal?.kind)
    throw new ServiceError('request.no_operator', {});
}

/** For callers whom the kernel has let through already. */
export const rootAlone: Authority = () => ({ kind: 'root', from: 'unix socket' });

/** Those who know a token; who tries many wrong ones is told so, but the right one is always taken. */
export function whoKnows(operator: Token, viewer: Token = () => undefined): Authority {
  const attempts = new Attempts();
  return (authorization = '', address) => {
    const given = /^Bearer +([^ ]+)$/i.exec(authorization)?.[1];
    const isToken = (wanted: string | undefined) =>
      given !== undefined && wanted !== undefined && sameSecret(given, wanted);
    const [acts, looks] = [isToken(operator()), isToken(viewer())];
    // A token that was given to viewers too is a viewer's.
    if (acts || looks) return { kind: looks ? 'viewer' : 'operator', from: address };
    if (attempts.count(address) > MOST_ATTEMPTS) throw new ServiceError('request.too_many_attempts', {});
    throw new ServiceError('request.no_operator', {});
  };
}
