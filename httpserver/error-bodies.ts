/**
 * The two forms of error answers: the exact form of the predecessor's three calls, and RFC 9457 problems for everything
 * else.
 */

import type { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode } from '../errors/table.ts';
import type { Problem } from './v1/schemas.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Whether it is a line of text, which browsers must not interpret as another type. */
  readonly isLine: boolean;
}

export const PLAIN = 'text/plain; charset=utf-8';
/** Sent with a line of text, as by the predecessor. */
export const NO_SNIFFING = ['X-Content-Type-Options', 'nosniff'] as const;

/** The status of refusals by the predecessor's handlers. */
const REFUSED = 406;

/** Errors that the predecessor answered with a line of text, before any handler ran. */
const LINES: Partial<Record<ErrorCode, string>> = {
  'request.no_host': '400 Bad Request: missing required Host header',
  'request.malformed': 'Malformed body',
  'request.too_large': 'Malformed body',
  'request.unauthorized': 'Unauthorized',
  'request.not_found': '404 page not found',
};

export function wireAnswer(error: ServiceError): Answer {
  const line = error.code === 'request.wrong_method' ? error.message : LINES[error.code];
  const body = line === undefined ? JSON.stringify({ result: '', error: error.message }) : `${line}\n`;
  return { status: error.row.wire ?? REFUSED, contentType: PLAIN, body, isLine: line !== undefined };
}

export function problemAnswer(error: ServiceError): Answer {
  const problem = problemOf(error);
  return {
    status: problem.status,
    contentType: 'application/problem+json',
    body: JSON.stringify(problem),
    isLine: false,
  };
}

export function problemOf({ code, row, message }: ServiceError): Problem {
  return { type: 'about:blank', title: code, status: row.status, detail: message };
}
