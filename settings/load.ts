/**
 * Turns the environment into settings, all of them or none: every problem is told at once, and a setting
 * that is missing, mistyped or unsafe stops the start instead of falling back to something open.
 */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import {
  type Environment,
  isLoopback,
  type Known,
  parseEnvironment,
  SCHEMA,
  type Setting,
  WELL_KNOWN_SECRETS,
} from './schema.ts';
import { findSecret, Secret } from './secret.ts';

type Schema = typeof SCHEMA;
type Given<S> = S extends { secret: true } ? Secret : S extends Setting<infer T> ? T : never;
type Value<S> = S extends { optional: true } ? Given<S> | undefined : Given<S>;

export type Settings = { readonly APP_ENV: Environment } & {
  readonly [Name in keyof Schema]: Value<Schema[Name]>;
};

/**
 * @param environment the process's environment; secrets are not removed from it
 * @throws {ServiceError} `start.settings`, with a line for each problem
 */
export function loadSettings(environment: NodeJS.ProcessEnv): Settings {
  const { settings, problems } = readAll(environment, Object.keys(SCHEMA) as (keyof Schema)[]);
  throwIfAny([...problems, ...unsafe(settings, environment)]);
  return settings;
}

/** Some settings alone, for a command that does without the others. @throws {ServiceError} `start.settings` */
export function loadSome<Name extends keyof Schema>(
  environment: NodeJS.ProcessEnv,
  names: readonly Name[],
): Pick<Settings, Name> {
  const { settings, problems } = readAll(environment, names);
  throwIfAny(problems);
  return settings;
}

function readAll(environment: NodeJS.ProcessEnv, names: readonly (keyof Schema)[]) {
  const problems: string[] = [];
  const attempt = <T>(name: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      problems.push(`  ${name}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const appEnv = attempt('APP_ENV', () => parseEnvironment(required(environment.APP_ENV)));
  const values: Record<string, unknown> = { APP_ENV: appEnv };
  for (const name of names) {
    values[name] = attempt(name, () => read(name, SCHEMA[name], environment, values));
  }
  return { settings: values as Settings, problems };
}

function throwIfAny(problems: readonly string[]): void {
  if (problems.length > 0) throw new ServiceError('start.settings', { problems: problems.join('\n') });
}

function read(name: string, setting: Setting<unknown>, environment: NodeJS.ProcessEnv, known: Known) {
  const given = setting.secret ? findSecret(name, environment) : environment[name];
  const text = given || setting.fallback(known.APP_ENV ?? 'production');
  const need = setting.neededBy?.(known);
  if (text === undefined && need) throw new Error(`must be given: ${need}`);
  if (text === undefined && setting.optional) return undefined;
  const value = setting.parse(required(text));
  return setting.secret ? new Secret(String(value)) : value;
}

function required(text: string | undefined): string {
  if (!text) throw new Error('must be given');
  return text;
}

/** Settings that must not stand together; those that have a problem of their own are undefined. */
function* unsafe(settings: Partial<Settings>, environment: NodeJS.ProcessEnv): Generator<string> {
  const { APP_ENV, WEBSERVER_AUTH_SECRET, LISTEN_ADDRESS } = settings;
  const wellKnown = WELL_KNOWN_SECRETS.includes(WEBSERVER_AUTH_SECRET?.reveal() ?? '');
  if (wellKnown && APP_ENV && APP_ENV !== 'localdev') {
    yield '  WEBSERVER_AUTH_SECRET: everybody knows this one; it is for localdev alone';
  }
  if (wellKnown && LISTEN_ADDRESS && !isLoopback(LISTEN_ADDRESS)) {
    yield '  LISTEN_ADDRESS: goes beyond loopback, where the well-known secret must not be used; set WEBSERVER_AUTH_SECRET';
  }
  if (!environment.TLS_CERT_FILE !== !environment.TLS_KEY_FILE) {
    yield '  TLS_CERT_FILE, TLS_KEY_FILE: give both or neither';
  }
}

/** The part of an environment that a child process may see: no secret and no setting of this service. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, HTTP_PROXY, HTTPS_PROXY, NO_PROXY } = environment;
  return { PATH, HOME, LANG, HTTP_PROXY, HTTPS_PROXY, NO_PROXY };
}
