/** Fills in a template: `${NAME}` becomes the value of NAME, and `$$` becomes a dollar sign. */

import { EntryError } from './entry-error.ts';

const PLACE = /\$(?:\$|\{([^}\n]*)\})/g;

/** @throws EntryError that lists every name without a value */
export function fillTemplate(
  text: string,
  values: Readonly<Record<string, string | undefined>>,
  path: string,
): string {
  const missing = new Set<string>();
  const filled = text.replace(PLACE, (_, name: string | undefined) => {
    if (name === undefined) return '$';
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) missing.add(name);
    return value ?? '';
  });
  if (missing.size > 0)
    throw new EntryError(
      'template',
      `the template ${path} uses names that are neither in the secret nor in the environment: ${[...missing].join(', ')}; add it to the secret, or write $$ for a dollar sign`,
    );
  return filled;
}
