/**
 * Turns the environment into settings. It reports every problem at once. If a setting is missing, malformed or unsafe,
 * the service does not start, because a fallback could be less safe than the operator wanted.
 */

import { messageOf, ServiceError } from '../errors/service-error.ts';
import { problemsOfNodes } from './node-settings.ts';
import { isLoopback } from './parsers.ts';
import { SCHEMA, WELL_KNOWN_SECRETS } from './schema.ts';
import { type Found, findSecret, Secret } from './secret.ts';
import type { Known, Setting } from './setting.ts';

type Schema = typeof SCHEMA;
type Given<S> = S extends { secret: true } ? Secret : S extends Setting<infer T> ? T : never;
type Value<S> = S extends { optional: true } ? Given<S> | undefined : Given<S>;

export type Settings = { readonly [Name in keyof Schema]: Value<Schema[Name]> };

/** A setting as it was found in the environment. */
export interface Reading {
  readonly name: keyof Schema;
  /** undefined: the setting is not given and has no default. */
  readonly found: Found | undefined;
  readonly value: unknown;
  /** Why the value cannot be used. */
  readonly problem: string | undefined;
}

const ALL = Object.keys(SCHEMA) as (keyof Schema)[];

/**
 * @param environment the process's environment; secrets are not removed from it
 * @throws {ServiceError} `start.settings`, with a line for each problem
 */
export function loadSettings(environment: NodeJS.ProcessEnv): Settings {
  const { settings, problems } = examineSettings(environment);
  throwIfAny(problems);
  return settings as Settings;
}

/** Like `loadSettings`, but reports problems instead of throwing. */
export function examineSettings(environment: NodeJS.ProcessEnv): {
  readonly readings: readonly Reading[];
  /** The settings without problems. */
  readonly settings: Partial<Settings>;
  readonly problems: readonly string[];
} {
  const readings = readAll(environment, ALL);
  const settings = valuesOf(readings);
  return { readings, settings, problems: [...problemsOf(readings), ...unsafe(settings, environment)] };
}

/** Loads only some settings, for a command that does not need the others. @throws {ServiceError} `start.settings` */
export function loadSome<Name extends keyof Schema>(
  environment: NodeJS.ProcessEnv,
  names: readonly Name[],
): Pick<Settings, Name> {
  const readings = readAll(environment, ['APP_ENV', ...names]);
  throwIfAny(problemsOf(readings));
  return valuesOf(readings);
}

function readAll(environment: NodeJS.ProcessEnv, names: readonly (keyof Schema)[]): Reading[] {
  const known: Record<string, unknown> = {};
  return names.map((name) => {
    const reading = read(name, SCHEMA[name], environment, known);
    known[name] = reading.value;
    return reading;
  });
}

function read(
  name: keyof Schema,
  setting: Setting<unknown>,
  environment: NodeJS.ProcessEnv,
  known: Known,
): Reading {
  let found: Found | undefined;
  try {
    found = find(name, setting, environment, known);
    return { name, found, value: understand(setting, found, known), problem: undefined };
  } catch (error) {
    return { name, found, value: undefined, problem: messageOf(error) };
  }
}

/** @throws Error when a secret is in a place that others than root can read */
function find(
  name: string,
  setting: Setting<unknown>,
  environment: NodeJS.ProcessEnv,
  known: Known,
): Found | undefined {
  const text = environment[name];
  const given = setting.secret ? findSecret(name, environment) : text && { text, source: 'environment' };
  if (given) return given;
  const fallback = setting.fallback(known.APP_ENV ?? 'production', known);
  return fallback === undefined ? undefined : { text: fallback, source: 'default' };
}

function understand(setting: Setting<unknown>, found: Found | undefined, known: Known): unknown {
  if (!found) {
    const need = setting.neededBy?.(known);
    if (need) throw new Error(`must be given: ${need}`);
    if (setting.optional) return undefined;
    throw new Error('must be given');
  }
  const value = setting.parse(found.text);
  return setting.secret ? new Secret(String(value)) : value;
}

function valuesOf(readings: readonly Reading[]): Settings {
  return Object.fromEntries(readings.map(({ name, value }) => [name, value])) as Settings;
}

function problemsOf(readings: readonly Reading[]): string[] {
  return readings.flatMap(({ name, problem }) => (problem ? [`  ${name}: ${problem}`] : []));
}

function throwIfAny(problems: readonly string[]): void {
  if (problems.length > 0) throw new ServiceError('start.settings', { problems: problems.join('\n') });
}

/** Finds combinations of settings that are unsafe. Settings with a problem of their own are undefined here. */
function* unsafe(settings: Partial<Settings>, environment: NodeJS.ProcessEnv): Generator<string> {
  const { APP_ENV, WEBSERVER_AUTH_SECRET, OPERATOR_TOKEN, VIEWER_TOKEN, LISTEN_ADDRESS } = settings;
  const wellKnown = WELL_KNOWN_SECRETS.includes(WEBSERVER_AUTH_SECRET?.reveal() ?? '');
  if (wellKnown && APP_ENV && APP_ENV !== 'localdev') {
    yield '  WEBSERVER_AUTH_SECRET: this one is well known; use it in localdev only';
  }
  if (wellKnown && LISTEN_ADDRESS && !isLoopback(LISTEN_ADDRESS)) {
    yield '  LISTEN_ADDRESS: is not a loopback address, where the well-known secret must not be used; set WEBSERVER_AUTH_SECRET';
  }
  if (OPERATOR_TOKEN && OPERATOR_TOKEN.reveal() === WEBSERVER_AUTH_SECRET?.reveal()) {
    yield '  OPERATOR_TOKEN: must not be the webserver\'s secret; "openssl rand -hex 32" makes one';
  }
  const others = [WEBSERVER_AUTH_SECRET, OPERATOR_TOKEN].map((one) => one?.reveal());
  if (VIEWER_TOKEN && others.includes(VIEWER_TOKEN.reveal())) {
    yield '  VIEWER_TOKEN: must be neither the webserver\'s secret nor OPERATOR_TOKEN; "openssl rand -hex 32" makes one';
  }
  yield* problemsOfNodes(settings);
  if (settings.INTERACTIVE === 'off' && settings.NODES_FEED === 'none') {
    yield '  INTERACTIVE: with off and without nodes there is nothing to do; set NODES_FEED, or INTERACTIVE=on';
  }
  if (!environment.TLS_CERT_FILE !== !environment.TLS_KEY_FILE) {
    yield '  TLS_CERT_FILE, TLS_KEY_FILE: give both or neither';
  }
}

/** The environment for child processes: without secrets and without the settings of this service. */
export function childEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, HTTP_PROXY, HTTPS_PROXY, NO_PROXY } = environment;
  return { PATH, HOME, LANG, HTTP_PROXY, HTTPS_PROXY, NO_PROXY };
}
