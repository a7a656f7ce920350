/**
 * Replaces "{name}" in every string of a value. A string that consists of "{name}" alone becomes the value itself, so
 * that a number stays a number. "{{name}}" is an escape for the text "{name}".
 */

import { ReleaseError } from '../errors.ts';

export type Values = Readonly<Record<string, string | number | boolean | undefined>>;

const PLACE = /\{\{([A-Za-z][\w-]*)\}\}|\{([A-Za-z][\w-]*)\}/g;
const WHOLE = /^\{([A-Za-z][\w-]*)\}$/;

/** @throws ReleaseError usage that names every missing value */
export function interpolate<T>(given: T, values: Values): T {
  const missing = new Set<string>();
  const lookUp = (name: string) => {
    const value = values[name];
    if (value === undefined) missing.add(name);
    return value;
  };
  const inText = (text: string) => {
    const [, whole] = WHOLE.exec(text) ?? [];
    if (whole) return lookUp(whole);
    return text.replaceAll(PLACE, (_, literal?: string, name = '') =>
      literal ? `{${literal}}` : String(lookUp(name)),
    );
  };
  const visit = (one: unknown): unknown => {
    if (typeof one === 'string') return inText(one);
    if (Array.isArray(one)) return one.map(visit);
    if (one === null || typeof one !== 'object') return one;
    return Object.fromEntries(Object.entries(one).map(([key, value]) => [key, visit(value)]));
  };
  const result = visit(given) as T;
  if (missing.size === 0) return result;
  const names = [...missing].map((name) => `{${name}}`).join(', ');
  throw new ReleaseError(
    'usage',
    `The configuration uses ${names}, which has no value. Add it under "variables", or use --set NAME=VALUE.`,
  );
}
