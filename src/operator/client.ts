/** A client of the operator's API, with errors for the command line. */

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
