/** What Docker's answer says of a call that failed. */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { isRecord } from '../parsing/json.ts';

/** What Docker itself gave as the reason. */
export function reasonOf(error: unknown): string {
  const answer = isRecord(error) && isRecord(error.json) ? error.json.message : undefined;
  // Of an answer that was to be a stream dockerode gives no JSON, but what it made of it.
  return typeof answer === 'string'
    ? answer
    : messageOf(error)
        .replace(/^\(HTTP code .*? - /, '')
        .trim();
}

/** The HTTP status of Docker's answer, when there was one. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ServiceError) return statusOf(error.cause);
  const status = isRecord(error) ? error.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

/** Passes on an error unless Docker's answer had one of these statuses. */
export function unlessStatus(...expected: number[]): (error: unknown) => undefined {
  return (error) => {
    if (!expected.includes(statusOf(error) ?? 0)) throw error;
  };
}
