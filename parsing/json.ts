/** What came from JSON, and what it must look like. */

import type { TSchema } from 'typebox';
import { Check, Errors } from 'typebox/value';

/** Whether a value that came from JSON is an object, and neither null nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Why `value` does not fit `schema`; undefined when it does. */
export function misfit(schema: TSchema, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined;
  const [first] = Errors(schema, value);
  return `${first?.instancePath || 'it'} ${first?.message}`;
}
