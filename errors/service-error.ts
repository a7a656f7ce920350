/**
 * The one class of errors that this service throws on purpose. It has a code of the table, and its message is the
 * code's template with the placeholders filled in.
 */

import { inspect } from 'node:util';
import { ERRORS, type ErrorCode, type ErrorRow, type Parameters } from './table.ts';

export class ServiceError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly parameters: Parameters<C>;

  /** @param parameters the values of the placeholders in the code's template */
  constructor(code: C, parameters: Parameters<C>, options?: ErrorOptions) {
    super(fill(ERRORS[code].text, parameters), options);
    this.name = 'ServiceError';
    this.code = code;
    this.parameters = parameters;
  }

  get row(): ErrorRow {
    return ERRORS[this.code];
  }
}

function fill(template: string, parameters: Record<string, string | number>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name]));
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ') || error.message;
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : inspect(error);
}

/** Whether `error` is a system error with this code, such as `ENOENT`. */
export function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
