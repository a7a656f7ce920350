/** Interprets Docker's answer to a failed call. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { isRecord } from '../parsing/json.ts';

/** The reason that Docker gave. */
export function reasonOf(error: unknown): string {
  const answer = isRecord(error) && isRecord(error.json) ? error.json.message : undefined;
  // For an answer that should have been a stream, dockerode provides no JSON but its own text.
  return typeof answer === 'string'
    ? answer
    : messageOf(error)
        .replace(/^\(HTTP code .*? - /, '')
        .trim();
}

/** The HTTP status of Docker's answer, if there was one. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ServiceError) return statusOf(error.cause);
  const status = isRecord(error) ? error.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

/** Rethrows an error unless Docker's answer had one of these statuses. */
export function unlessStatus(...expected: number[]): (error: unknown) => undefined {
  return (error) => {
    if (!expected.includes(statusOf(error) ?? 0)) throw error;
  };
}
