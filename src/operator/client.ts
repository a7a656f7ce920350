/**
 * The operator's API as the command line calls it: over the unix socket of the service on this host, or over HTTPS to
 * another host, whose certificate is either known to this machine or named by its fingerprint.
 */

import type { TLSSocket } from 'node:tls';
import createClient, { type Client } from 'openapi-fetch';
import type { buildConnector } from 'undici';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import { isRecord } from '../../parsing/json.ts';
import { sameSecret } from '../../settings/secret.ts';
import type { components, paths } from './api.d.ts';
import { printable } from './printable.ts';

export type Api = Client<paths>;
export type Schemas = components['schemas'];

/** Where the service is. */
export type Target =
  | { readonly socket: string }
  | {
      readonly host: URL;
      /** SHA-256 of its certificate, as hex digits; undefined: this machine must trust it. */
      readonly fingerprint: string | undefined;
      readonly token: string;
    };

/** Milliseconds for making a connection. */
const CONNECT = 5000;

export async function connect(target: Target): Promise<Api> {
  const { default: undici } = await import('undici');
  const connector =
    'socket' in target
      ? { socketPath: target.socket, timeout: CONNECT }
      : await secureConnector(target.fingerprint);
  // A stream is silent for as long as nothing happens, and a stop may take its time.
  const dispatcher = new undici.Agent({ connect: connector, headersTimeout: 0, bodyTimeout: 0 });
  const where = 'socket' in target ? target.socket : target.host.origin;
  return createClient<paths>({
    baseUrl: 'socket' in target ? 'http://localhost' : target.host.origin,
    headers: 'socket' in target ? {} : { authorization: `Bearer ${target.token}` },
    Request: undici.Request as unknown as typeof Request,
    requestInitExt: { dispatcher },
    // What is asked has secrets in it: it goes nowhere else.
    redirect: 'error',
    fetch: async (request) => {
      try {
        const answered = await undici.fetch(request as unknown as Parameters<typeof undici.fetch>[0], {
          dispatcher,
        });
        return answered as unknown as Response;
      } catch (error) {
        const cause = error instanceof Error && error.cause ? error.cause : error;
        throw unreachable(where, cause);
      }
    },
  });
}

export function unreachable(where: string, cause: unknown): ServiceError {
  if (isSystemError(cause, 'EACCES')) return new ServiceError('operator.not_root', { where }, { cause });
  return new ServiceError('operator.unreachable', { where, why: messageOf(cause) }, { cause });
}

/** Nothing is sent, the token least of all, before the certificate was seen to be the one that was named. */
export async function secureConnector(fingerprint: string | undefined): Promise<buildConnector.connector> {
  const { default: undici } = await import('undici');
  const connector = undici.buildConnector({
    timeout: CONNECT,
    ...(fingerprint && { rejectUnauthorized: false }),
  });
  if (fingerprint === undefined) return connector;
  return (options, callback) =>
    connector(options, (...[error, socket]) => {
      if (error) return callback(error, null);
      const found = fingerprintOf(socket as TLSSocket);
      if (sameSecret(found, fingerprint)) return callback(null, socket);
      socket.destroy();
      callback(new Error(`its certificate has the fingerprint ${found}`), null);
    });
}

function fingerprintOf(socket: TLSSocket): string {
  return (socket.getPeerX509Certificate?.()?.fingerprint256 ?? 'none').replaceAll(':', '').toLowerCase();
}

interface Answered<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** What the service answered. @throws {ServiceError} `operator.refused` when that is a problem, or not an answer of this API */
export function dataOf<T>({ data, error, response: { ok, status } }: Answered<T>): T {
  if (ok && data !== undefined) return data;
  throw refusedBy(error, `status ${status}`);
}

/** @param problem if it is one; a registry or a container may have put words into it */
export function refusedBy(problem: unknown, otherwise = 'an unknown problem'): ServiceError {
  const { title, detail } = isRecord(problem) ? problem : {};
  return new ServiceError('operator.refused', {
    title: printable(typeof title === 'string' ? title : otherwise),
    detail: printable(
      typeof detail === 'string' ? inOptions(detail) : 'that is no answer of this API; see what runs there',
    ),
  });
}

/** What a field is called on the command line, where that is not its own name. */
const WORDS: Readonly<Record<string, string>> = {
  image: 'IMAGE',
  environment: '--env',
  labels: '--label',
  ports: '--publish',
  mounts: '--mount',
  idleTimeout: '--idle-timeout',
  registryAuth: '--registry-user',
};

/** The service names the field that is wrong; whoever typed it knows the option. */
function inOptions(detail: string): string {
  return detail.replace(
    /^the (?:body|query) of the request [^:]*: \/(\w+)(.*)$/s,
    (_, field: string, rest: string) => {
      const option = Object.hasOwn(WORDS, field) ? WORDS[field] : `--${field}`;
      return `${option} is not valid: ${rest.startsWith('/') ? '' : 'it'}${rest}`;
    },
  );
}
