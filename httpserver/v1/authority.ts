/** Whether a caller is the operator: whoever knows the operator's token is. */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ServiceError } from '../../errors/service-error.ts';
import { sameSecret } from '../../settings/secret.ts';
import { Attempts, MOST_ATTEMPTS } from '../attempts.ts';

/** Sees whether a request may be answered, by its header `Authorization` and the address that it came from. */
export type Authority = (authorization: string | undefined, address: string) => void;

/** Asks of each request to `app`, before its body is read. */
export function askWho(app: FastifyInstance, authority: Authority): void {
  app.addHook('onRequest', async (request) => ask(authority, request));
}

export function ask(authority: Authority, { headers, socket }: FastifyRequest): void {
  authority(headers.authorization, socket.remoteAddress ?? 'unknown');
}

/** For callers whom the kernel has let through already. */
export const anybody: Authority = () => {};

/**
 * Those who know the token; who tries many wrong ones is told so, but the right one is always taken.
 * @param token the one that counts at this moment; undefined: nobody is let in
 */
export function whoKnows(token: () => string | undefined): Authority {
  const attempts = new Attempts();
  return (authorization = '', address) => {
    const given = /^Bearer +([^ ]+)$/i.exec(authorization)?.[1];
    const wanted = token();
    if (given !== undefined && wanted !== undefined && sameSecret(given, wanted)) return;
    if (attempts.count(address) > MOST_ATTEMPTS) throw new ServiceError('request.too_many_attempts', {});
    throw new ServiceError('request.no_operator', {});
  };
}
