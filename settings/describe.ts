/** Describes every setting in text, for `ecs-host-service settings` and docs/settings.md. */

import type { Environment } from './environment.ts';
import { SCHEMA } from './schema.ts';
import type { Setting } from './setting.ts';

export interface Described {
  readonly name: keyof typeof SCHEMA;
  /** The value that applies if the setting is not given. */
  readonly fallback: string;
  readonly meaning: string;
  readonly isSecret: boolean;
}

export function describeSettings(): Described[] {
  return Object.entries<Setting<unknown>>(SCHEMA).map(([name, setting]) => {
    const [local, remote] = [fallbackIn('localdev', setting), fallbackIn('production', setting)];
    return {
      name: name as keyof typeof SCHEMA,
      fallback: local === remote ? remote : `localdev: ${local}; else ${remote}`,
      meaning: setting.meaning,
      isSecret: setting.secret ?? false,
    };
  });
}

function fallbackIn(environment: Environment, setting: Setting<unknown>): string {
  const text = setting.fallback(environment, {});
  if (text !== undefined) return setting.secret ? 'the well-known one' : text;
  const isLocal = environment === 'localdev';
  const isNeeded = setting.neededBy?.({ APP_ENV: environment, USE_PROD_LOGGING: !isLocal });
  return isNeeded || !setting.optional ? 'must be given' : 'none';
}
