/** Reads JSON bodies as the predecessor's JSON reader did, where its callers could tell the difference. */

import { ServiceError } from '../errors/service-error.ts';
import { isRecord } from '../parsing/json.ts';

/** Stands for a number that was not written as an integer (`96.0`, `1e2`), so that no integer field takes it. */
class NotAnInteger {}

/** JSON.parse with the third parameter of its reviver, which the types do not know yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** @throws {ServiceError} `request.malformed` unless the body is a JSON object */
export function parseJsonObject(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(body.toString('utf8'), markFractions);
  } catch {
    // The parser's own message quotes the body, which has secrets in it.
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

/** The same object with every key in lower case; of keys that differ in case alone, the last one counts. */
export function foldKeys(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const folded: Record<string, unknown> = Object.create(null);
  for (const [key, value] of Object.entries(object)) folded[key.toLowerCase()] = value;
  return folded;
}
