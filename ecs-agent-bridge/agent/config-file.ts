/**
 * Reads the operator's settings for the ECS agent: lines of NAME=value, which the agent's own packages read too.
 * Settings that conflict with this service are refused, and all problems are reported together.
 */

import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Mode } from './way.ts';

export type AgentConfig = ReadonlyMap<string, string>;

export interface ConfigRules {
  readonly mode: Mode;
  /** The ports that containers of this service get. */
  readonly usablePorts: readonly number[];
}

export interface ReadConfig {
  readonly config: AgentConfig;
  readonly warnings: readonly string[];
}

const KNOWN = /^(ECS_|AWS_)|^(HTTP_PROXY|HTTPS_PROXY|NO_PROXY|SSL_CERT_DIR|SSL_CERT_FILE)$/i;
/** Settings that must be JSON values of this kind. Source: the agent's README. */
const JSON_VALUES = new Map<string, 'list' | 'object'>([
  ['ECS_AVAILABLE_LOGGING_DRIVERS', 'list'],
  ['ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES', 'list'],
  ['ECS_CONTAINER_INSTANCE_TAGS', 'object'],
  ['ECS_ENGINE_AUTH_DATA', 'object'],
  ['ECS_INSTANCE_ATTRIBUTES', 'object'],
  ['ECS_RESERVED_PORTS', 'list'],
  ['ECS_RESERVED_PORTS_UDP', 'list'],
  ['ECS_VOLUME_PLUGIN_CAPABILITIES', 'list'],
]);

/**
 * @returns no settings if there is no file
 * @throws {ServiceError} `agent.config`, with a line for each problem; no line contains a value that may be secret
 */
export async function readConfig(path: string, rules: ConfigRules): Promise<ReadConfig> {
  try {
    return parseConfig(path, await readFile(path, 'utf8'), rules);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return { config: new Map(), warnings: [] };
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('agent.config', { path, problems: `  ${messageOf(error)}` }, { cause: error });
  }
}

/** @throws {ServiceError} `agent.config` */
export function parseConfig(path: string, text: string, rules: ConfigRules): ReadConfig {
  const config = new Map<string, string>();
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (!line || line.startsWith('#')) continue;
    const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      problems.push(`  line ${i + 1}: must be NAME=value, without blanks before the =`);
      continue;
    }
    const problem = problemOf(name, value, rules);
    if (problem) problems.push(`  line ${i + 1}: ${name} ${problem}`);
    warnings.push(...warningsOf(name, rules).map((warning) => `line ${i + 1}: ${name} ${warning}`));
    config.set(name, value);
  }
  if (problems.length > 0) throw new ServiceError('agent.config', { path, problems: problems.join('\n') });
  return { config, warnings };
}

/** Follows the agent's rules for booleans. */
export function isTrue(value: string | undefined): boolean {
  return /^(1|t|true)$/i.test(value ?? '');
}

function problemOf(name: string, value: string, { mode, usablePorts }: ConfigRules): string | undefined {
  const kind = JSON_VALUES.get(name);
  if (kind && kindOf(value) !== kind) return `must be a JSON ${kind}, without quotes around it`;
  if (name === 'ECS_DYNAMIC_HOST_PORT_RANGE') return problemOfRange(value, usablePorts);
  if (name === 'ECS_DATADIR' && !isAbsolute(value)) return 'must be an absolute path';
  if (name === 'ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP' && isTrue(value)) {
    return 'must not be true: the agent would delete containers that ECS has not placed';
  }
  if (name === 'DOCKER_HOST' && mode === 'unit') {
    return 'must go: ecs.service would prefer it to the socket of this service; DOCKER_HOST of the service names Docker';
  }
  return undefined;
}

function warningsOf(name: string, { mode }: ConfigRules): string[] {
  if (name === 'DOCKER_HOST') {
    return mode === 'unit' ? [] : ['is passed over: the agent talks to Docker through this service'];
  }
  return KNOWN.test(name) ? [] : ['is not a name that an ECS agent reads; it is passed on anyway'];
}

function problemOfRange(value: string, usablePorts: readonly number[]): string | undefined {
  const [, first, last] = (/^(\d{1,5})-(\d{1,5})$/.exec(value) ?? []).map(Number);
  if (!first || !last || first > last || last > 65_535) return 'must be a range of ports such as 49153-65535';
  const [taken] = usablePorts.filter((port) => port >= first && port <= last);
  if (taken === undefined) return undefined;
  return `must not have ports that containers get from this service, such as ${taken}; leave it out, or use ports from 49151 on`;
}

function kindOf(value: string): 'list' | 'object' | undefined {
  try {
    const parsed: unknown = JSON.parse(value);
    if (Array.isArray(parsed)) return 'list';
    return typeof parsed === 'object' && parsed !== null ? 'object' : undefined;
  } catch {
    return undefined;
  }
}

const SECRET_NAME = /(SECRET|TOKEN|PASSWORD|AUTH_DATA)/;
const SECRET_FIELD = /^(auth|password|identitytoken|registrytoken)$/i;

/** The secret values, and the secrets inside values, by name. */
export function secretsIn(config: AgentConfig): [name: string, secret: string][] {
  return [...config].flatMap(([name, value]) => {
    const whole: [string, string][] =
      SECRET_NAME.test(name) && !name.endsWith('_FILE') ? [[name, value]] : [];
    return [...whole, ...within(name, value)];
  });
}

function within(name: string, value: string): [string, string][] {
  if (/(?<!^NO)_PROXY$/i.test(name)) return [[name, passwordIn(value)]];
  if (name !== 'ECS_ENGINE_AUTH_DATA') return [];
  const found: [string, string][] = [];
  JSON.parse(value, (field, inner) => {
    if (SECRET_FIELD.test(field) && typeof inner === 'string') found.push([`${name} ${found.length}`, inner]);
    return inner;
  });
  return found;
}

/** @param proxy in Go's format: the scheme may be missing. Source: its httpproxy, parseProxy */
function passwordIn(proxy: string): string {
  const password = URL.parse(proxy.includes('//') ? proxy : `http://${proxy}`)?.password ?? '';
  try {
    return decodeURIComponent(password);
  } catch {
    return password;
  }
}
