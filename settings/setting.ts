/** What a setting is. */

import type { Environment } from './environment.ts';

/** One setting. `parse` throws an Error that says which values are valid. */
export interface Setting<T> {
  readonly meaning: string;
  /** The text that applies if the setting is not given. `undefined`: there is no default. */
  readonly fallback: (environment: Environment, known: Known) => string | undefined;
  readonly parse: (text: string) => T;
  /** The value is read by `findSecret` and kept out of every log. */
  readonly secret?: true;
  readonly optional?: true;
  /** Why an optional setting is required after all, given the settings that come before it. */
  readonly neededBy?: (known: Known) => string | undefined;
}

/** The settings on which other settings depend. */
export interface Known {
  readonly APP_ENV?: Environment;
  readonly INTERACTIVE?: 'on' | 'off';
  readonly USE_PROD_LOGGING?: boolean;
  readonly NODES_FEED?: string;
  readonly ROOT?: string;
  readonly LOGGING_LEVEL?: string;
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
