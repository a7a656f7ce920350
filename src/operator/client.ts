/** The client of the operator's API, with errors in the command line's words. */

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

/** What the service answered. @throws {ServiceError} `operator.refused` when that is a problem, or not an answer of this API */
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
