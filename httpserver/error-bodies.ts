/**
 * The two forms of an error's answer: that of the predecessor's three calls, byte for byte as their callers
 * know it, and RFC 9457 problems for everything else.
 */

import type { ServiceError } from '../errors/service-error.ts';
import type { ErrorCode } from '../errors/table.ts';
import type { Problem } from './v1/schemas.ts';

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Whether it is a line of text, which no client may take for anything else. */
  readonly isLine: boolean;
}

export const PLAIN = 'text/plain; charset=utf-8';
/** With a line of text, as the predecessor sent it. */
export const NO_SNIFFING = ['X-Content-Type-Options', 'nosniff'] as const;

/** What the handlers of the predecessor refuse with. */
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
