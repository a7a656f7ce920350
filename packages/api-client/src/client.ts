/** Calls to `/v1`, over the unix socket of a service on this host, or over HTTPS to another host. */

import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './api-types.ts';
import { ProblemError, UnreachableError } from './errors.ts';
import { connectorTo, nameOf, type Target } from './target.ts';

export type Schemas = components['schemas'];

export interface Api extends Client<paths>, AsyncDisposable {
  /** Closes the connections. Unfinished calls and streams fail. */
  close(): Promise<void>;
}

/** Makes no connection yet; the first call does. A call throws an `UnreachableError` if no service answers it. */
export async function connect(target: Target): Promise<Api> {
  const {
    default: { Agent, Request: UndiciRequest, fetch },
  } = await import('undici');
  // A stream is silent while nothing happens, and a stop may take long, so there are no time limits.
  const dispatcher = new Agent({ connect: await connectorTo(target), headersTimeout: 0, bodyTimeout: 0 });
  const client = createClient<paths>({
    baseUrl: 'socket' in target ? 'http://localhost' : target.host.origin,
    headers: 'socket' in target ? {} : { authorization: `Bearer ${target.token}` },
    Request: UndiciRequest as unknown as typeof Request,
    requestInitExt: { dispatcher },
    // Requests contain secrets, so redirects are not followed.
    redirect: 'error',
    fetch: async (request) => {
      try {
        const answered = await fetch(request as unknown as Parameters<typeof fetch>[0], { dispatcher });
        return answered as unknown as Response;
      } catch (error) {
        if (request.signal.aborted) throw error;
        const cause = error instanceof Error && error.cause ? error.cause : error;
        throw new UnreachableError(nameOf(target), cause);
      }
    },
  });
  const close = () => dispatcher.destroy();
  return Object.assign(client, { close, [Symbol.asyncDispose]: close });
}

export interface Answered<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** The answer's data. @throws {ProblemError} if the answer is a problem, or not an answer of this API */
export function dataOf<T>({ data, error, response: { ok, status } }: Answered<T>): T {
  if (ok && data !== undefined) return data;
  throw new ProblemError(error, status);
}
