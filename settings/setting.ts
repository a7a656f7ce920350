/** What a setting is. */

import type { Environment } from './environment.ts';

/** One setting. `parse` throws an Error that says what would be right. */
export interface Setting<T> {
  readonly meaning: string;
  /** The text that stands when nothing is given; `undefined`: there is no default. */
  readonly fallback: (environment: Environment, known: Known) => string | undefined;
  readonly parse: (text: string) => T;
  /** Read by `findSecret` and kept out of every log. */
  readonly secret?: true;
  readonly optional?: true;
  /** Why an optional setting has to be given all the same, judged by those that stand above it. */
  readonly neededBy?: (known: Known) => string | undefined;
}

/** What decides about other settings. */
export interface Known {
  readonly APP_ENV?: Environment;
  readonly INTERACTIVE?: 'on' | 'off';
  readonly USE_PROD_LOGGING?: boolean;
  readonly NODES_FEED?: string;
}

export function setting<T>(meaning: string, fallback: string, parse: (text: string) => T): Setting<T> {
  return { meaning, fallback: () => fallback, parse };
}

export function optional<T>(
  meaning: string,
  parse: (text: string) => T,
): Setting<T> & { readonly optional: true } {
  return { meaning, fallback: () => undefined, parse, optional: true };
}
