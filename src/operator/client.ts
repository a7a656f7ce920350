/** A client of the operator's API, with errors for the command line. */

import { setTimeout as pause } from 'node:timers/promises';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import {
  type Answered,
  type Api,
  dataOf as answeredData,
  connect as connectTo,
  openSocket as openSocketTo,
  ProblemError,
  type Target,
  UnreachableError,
} from '../../packages/api-client/src/main.ts';
import { isRecord } from '../../parsing/json.ts';
import { printable } from './printable.ts';

/** Its calls throw `operator.unreachable` and `operator.not_root`. */
export async function connect(target: Target): Promise<Api> {
  const api = await connectTo(target);
  api.use({ onError: ({ error }) => inWords(error) });
  return api;
}

/** @throws {ServiceError} `operator.*` */
export async function openSocket(target: Target, path: string): ReturnType<typeof openSocketTo> {
  return await openSocketTo(target, path).catch((error: unknown) => {
    throw inWords(error);
  });
}

/** In milliseconds: how long the client keeps reconnecting, and the pause between two attempts. */
const PATIENCE = 60_000;
const BETWEEN_ATTEMPTS = 200;

/**
 * Connects again after a connection has broken. While one service hands over to the next, connections wait, or break again.
 * @returns undefined if no service comes back
 * @throws {ServiceError} `operator.*` if the service refuses
 */
export async function reopenSocket(
  target: Target,
  path: string,
): Promise<Awaited<ReturnType<typeof openSocketTo>> | undefined> {
  const late = performance.now() + PATIENCE;
  while (performance.now() < late) {
    try {
      return await openSocketTo(target, path);
    } catch (error) {
      if (error instanceof ProblemError && error.status !== STARTS_OR_STOPS) throw inWords(error);
      if (error instanceof UnreachableError && isNobodyThere(error.cause)) return undefined;
    }
    await pause(BETWEEN_ATTEMPTS);
  }
  return undefined;
}

/** The status of an answer that another attempt may change. */
const STARTS_OR_STOPS = 503;

function isNobodyThere(cause: unknown): boolean {
  return ['ECONNREFUSED', 'ENOENT'].some((code) => isSystemError(cause, code));
}

/**
 * The answer's data.
 * @throws {ServiceError} `operator.refused` if the answer is a problem, or not an answer of this API
 */
export function dataOf<T>(answered: Answered<T>): T {
  try {
    return answeredData(answered);
  } catch (error) {
    throw inWords(error);
  }
}

function inWords(error: unknown): Error {
  if (error instanceof ProblemError) return refusedBy(error.problem, `status ${error.status}`);
  if (!(error instanceof UnreachableError)) return error as Error;
  const { where, cause } = error;
  if (isSystemError(cause, 'EACCES')) return new ServiceError('operator.not_root', { where }, { cause });
  return new ServiceError('operator.unreachable', { where, why: messageOf(cause) }, { cause });
}

/** @param problem a problem, or anything else; it may contain text from a registry or a container */
export function refusedBy(problem: unknown, otherwise = 'an unknown problem'): ServiceError {
  const { title, detail } = isRecord(problem) ? problem : {};
  return new ServiceError('operator.refused', {
    title: printable(typeof title === 'string' ? title : otherwise),
    detail: printable(
      typeof detail === 'string'
        ? inOptions(detail)
        : 'this is not an answer of this API; check what runs there',
    ),
  });
}

/** The command line's names of fields, where they differ. */
const WORDS: Readonly<Record<string, string>> = {
  image: 'IMAGE',
  environment: '--env',
  labels: '--label',
  ports: '--publish',
  mounts: '--mount',
  idleTimeout: '--idle-timeout',
  registryAuth: '--registry-user',
};

/** The service names the wrong field; the user of the command line knows the option. */
function inOptions(detail: string): string {
  return detail.replace(
    /^the (?:body|query) of the request [^:]*: \/(\w+)(.*)$/s,
    (_, field: string, rest: string) => {
      const option = Object.hasOwn(WORDS, field) ? WORDS[field] : `--${field}`;
      return `${option} is not valid: ${rest.startsWith('/') ? '' : 'it'}${rest}`;
    },
  );
}
