/** Reads JSON bodies like the predecessor's JSON reader, as far as its callers can see a difference. */

import { ServiceError } from '../errors/service-error.ts';
import { isRecord } from '../parsing/json.ts';

/** Represents a number that was not written as an integer (`96.0`, `1e2`), so that integer fields refuse it. */
class NotAnInteger {}

/** JSON.parse with the third parameter of its reviver, which the types do not declare yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** @throws {ServiceError} `request.malformed` unless the body is a JSON object */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(body.toString('utf8'), markFractions);
  } catch {
    // The parser's own message quotes the body, which contains secrets.
    throw new ServiceError('request.malformed', { why: 'it is not JSON' });
  }
  if (!isRecord(value) || value instanceof NotAnInteger) {
    throw new ServiceError('request.malformed', { why: 'it is not a JSON object' });
  }
  return value;
}

function markFractions(_: string, value: unknown, { source = '' }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || /^-?\d+$/.test(source)) return value;
  return new NotAnInteger();
}

/** The same object with lower-case keys. If keys differ only in case, the last one counts. */
export function foldKeys(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const folded: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) folded[key.toLowerCase()] = value;
  return folded;
}
