/** The configuration of a node: those of the tenant, the app and the node, merged in this order, one level deep. */

import { EchoStreamError } from './errors.ts';

export type Config = Readonly<Record<string, unknown>>;

/** Each layer is a JSON object in a string, or null. */
export interface ConfigLayers {
  readonly tenant?: string | null | undefined;
  readonly app?: string | null | undefined;
  readonly node?: string | null | undefined;
}

/** @throws EchoStreamError CONFIG_INVALID, which names the owner of the configuration and shows nothing of it */
export function mergeConfig({ tenant, app, node }: ConfigLayers): Config {
  return Object.freeze({ ...parse('tenant', tenant), ...parse('app', app), ...parse('node', node) });
}

function parse(whose: string, json: string | null | undefined): Config {
  if (json === undefined || json === null || json === '') return {};
  let config: unknown;
  try {
    config = JSON.parse(json);
  } catch {
    // JSON.parse quotes text that it cannot parse, which may be a secret.
  }
  if (config === null || typeof config !== 'object' || Array.isArray(config)) {
    throw new EchoStreamError(
      'CONFIG_INVALID',
      `The config of the ${whose} is not a JSON object. Correct it in EchoStream.`,
    );
  }
  return config as Config;
}
