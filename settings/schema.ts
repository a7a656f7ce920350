/** Every setting of the service, with its default, its meaning, and how its text is understood. */

import { isIP } from 'node:net';
import { isAbsolute, normalize } from 'node:path';

export const ENVIRONMENTS = ['localdev', 'dev', 'staging', 'production'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

/** The secrets that the predecessor compiled in; everybody knows them. */
export const WELL_KNOWN_SECRETS: readonly string[] = [
  'testwebserverauthsecretdev',
  'testwebserverauthsecretstaging',
  'testwebserverauthsecretprod',
];

const ALIASES = new Map(
  Object.entries<Environment>({
    localdev: 'localdev',
    dev: 'dev',
    development: 'dev',
    staging: 'staging',
    prod: 'production',
    production: 'production',
  }),
);

/** One setting. `parse` throws an Error that says what would be right. */
export interface Setting<T> {
  readonly meaning: string;
  /** The text that stands when nothing is given; `undefined`: there is no default. */
  readonly fallback: (environment: Environment) => string | undefined;
  readonly parse: (text: string) => T;
  /** Read by `findSecret` and kept out of every log. */
  readonly secret?: true;
  readonly optional?: true;
}

function setting<T>(meaning: string, fallback: string, parse: (text: string) => T): Setting<T> {
  return { meaning, fallback: () => fallback, parse };
}

export function parseEnvironment(text: string): Environment {
  const environment = ALIASES.get(text.toLowerCase());
  if (!environment) throw new Error(`must be one of ${[...ALIASES.keys()].join(', ')}; got "${text}"`);
  return environment;
}

export const SCHEMA = {
  ROOT: setting('Directory below which the service keeps all its files.', '/', absolutePath),
  LISTEN_ADDRESS: {
    meaning: 'Address that HTTPS listens on; localdev defaults to loopback alone.',
    fallback: (environment) => (environment === 'localdev' ? '127.0.0.1' : '0.0.0.0'),
    parse: (text) => {
      if (!isIP(text)) throw new Error(`must be an IP address; got "${text}"`);
      return text;
    },
  } satisfies Setting<string>,
  LISTEN_PORT: setting('Port that HTTPS listens on.', '4678', port),
  WEBSERVER_AUTH_SECRET: {
    meaning: 'Secret that the webserver sends with its calls; localdev defaults to the well-known one.',
    fallback: (environment) => (environment === 'localdev' ? WELL_KNOWN_SECRETS[0] : undefined),
    parse: (text) => text,
    secret: true,
  } satisfies Setting<string>,
  TLS_CERT_FILE: optional('Certificate chain (PEM) to serve instead of a self-signed one.', absolutePath),
  TLS_KEY_FILE: optional('Private key (PEM) of TLS_CERT_FILE.', absolutePath),
  DOCKER_HOST: setting('Unix socket of the Docker Engine.', 'unix:///var/run/docker.sock', unixSocket),
  RESERVED_PORTS: setting('Host ports that no container gets, separated by commas.', '2375,2376', ports),
  LOG_LEVEL: setting('Least level that is logged: trace, debug, info, warn, error.', 'info', logLevel),
  COMMIT: setting('Git commit that this service was built from; make sets it.', 'unknown', (text) => text),
} as const;

function optional<T>(meaning: string, parse: (text: string) => T): Setting<T> & { readonly optional: true } {
  return { meaning, fallback: () => undefined, parse, optional: true };
}

function absolutePath(text: string): string {
  if (!isAbsolute(text)) throw new Error(`must be an absolute path; got "${text}"`);
  return normalize(text);
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > 65_535) {
    throw new Error(`must be a port from 1 to 65535; got "${text}"`);
  }
  return number;
}

function ports(text: string): readonly number[] {
  return text.split(',').map((part) => port(part.trim()));
}

function unixSocket(text: string): string {
  const path = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (!path) throw new Error(`must be a unix socket like unix:///var/run/docker.sock; got "${text}"`);
  return path;
}

function logLevel(text: string): string {
  const levels = ['trace', 'debug', 'info', 'warn', 'error'];
  if (!levels.includes(text)) throw new Error(`must be one of ${levels.join(', ')}; got "${text}"`);
  return text;
}
