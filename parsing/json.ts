/** Checks values that were parsed from JSON. */

import type { TSchema } from 'typebox';
import { Check, Errors } from 'typebox/value';

/** Whether the value is an object: not null and not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Why `value` does not match `schema`; undefined if it does. */
export function misfit(schema: TSchema, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined;
  const [first] = Errors(schema, value);
  return `${first?.instancePath || 'it'} ${first?.message}`;
}
