/**
 * The options of a node. Those that identify the node can come from the environment. One error reports all problems. It names
 * each option and its variable, and never a value.
 */

import { constants } from 'node:os';
import type { Auditor } from './audits.ts';
import { EchoStreamError } from './errors.ts';
import { type Logger, stderrLogger } from './logger.ts';

export interface NodeOptions {
  /** The URL of the EchoStream API. Environment: APPSYNC_ENDPOINT. */
  readonly appsyncEndpoint?: string;
  /** The id of the app's Cognito client. Environment: CLIENT_ID. */
  readonly clientId?: string;
  /** The name of the node. Environment: NODE. */
  readonly name?: string;
  /** The password of the app's user. Environment: PASSWORD. */
  readonly password?: string;
  /** The name of the tenant that the node belongs to. Environment: TENANT. */
  readonly tenant?: string;
  /** The name of the app's user. Environment: USER_NAME. */
  readonly username?: string;
  /** The id of the app's Cognito user pool. Environment: USER_POOL_ID. */
  readonly userPoolId?: string;
  /** Uploads bulk data to S3's acceleration endpoint. Default: false. */
  readonly bulkDataAcceleration?: boolean;
  /** Functions that return the attributes of an audit record, by the name of the message type. */
  readonly auditors?: Readonly<Record<string, Auditor>>;
  /** Default: warnings and errors go to stderr as lines of JSON. */
  readonly logger?: Logger;
}

/** The identity of a node: every node needs it to sign in. */
export const IDENTITY = {
  appsyncEndpoint: 'APPSYNC_ENDPOINT',
  clientId: 'CLIENT_ID',
  name: 'NODE',
  password: 'PASSWORD',
  tenant: 'TENANT',
  username: 'USER_NAME',
  userPoolId: 'USER_POOL_ID',
} as const;

export type Identity = { readonly [option in keyof typeof IDENTITY]: string };

export interface ResolvedNodeOptions extends Identity {
  readonly bulkDataAcceleration: boolean;
  readonly auditors: ReadonlyMap<string, Auditor>;
  readonly logger: Logger;
}

/** Collects problems, so that a person can fix them all at once. */
export class Problems {
  readonly #found: string[] = [];

  add(option: string, problem: string): void {
    this.#found.push(`${option} ${problem}`);
  }

  /** A whole number within its limits, or undefined if the option is missing. */
  integer(option: string, value: unknown, least: number, most: number): void {
    if (value === undefined) return;
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      this.add(option, `must be a whole number from ${least} to ${most}`);
    }
  }

  /** Signals that a program can handle, or undefined if the option is missing. */
  signals(option: string, value: unknown): void {
    if (value === undefined) return;
    const isSignal = (one: unknown): boolean => typeof one === 'string' && one in constants.signals;
    const isFixed = (one: unknown): boolean => one === 'SIGKILL' || one === 'SIGSTOP';
    if (!Array.isArray(value) || !value.every((one) => isSignal(one) && !isFixed(one))) {
      this.add(option, 'must be a list of signals that a program can handle, such as SIGTERM');
    }
  }

  boolean(option: string, value: unknown): void {
    if (value !== undefined && typeof value !== 'boolean') this.add(option, 'must be true or false');
  }

  throwIfAny(what = 'The node cannot be made'): void {
    if (this.#found.length === 0) return;
    throw new EchoStreamError('OPTIONS_INVALID', `${what}: ${this.#found.join('; ')}.`);
  }
}

/** @throws EchoStreamError OPTIONS_INVALID, also by the caller's `problems.throwIfAny()` */
export function resolveNodeOptions(
  options: NodeOptions,
  environment: Readonly<Record<string, string | undefined>>,
  problems = new Problems(),
): ResolvedNodeOptions {
  const identity = Object.fromEntries(
    Object.entries(IDENTITY).map(([option, variable]) => {
      const value: unknown = options[option as keyof Identity] ?? environment[variable];
      if (value === undefined || value === '') {
        problems.add(option, `is missing; give the option or set ${variable}`);
      } else if (typeof value !== 'string') problems.add(option, 'must be a string');
      return [option, value];
    }),
  ) as Identity;
  checkEndpoint(identity.appsyncEndpoint, problems);
  if (typeof identity.userPoolId === 'string' && !/^[\w-]+_\w+$/.test(identity.userPoolId)) {
    problems.add('userPoolId', 'must have the form <region>_<id>, as Cognito shows it (USER_POOL_ID)');
  }
  problems.boolean('bulkDataAcceleration', options.bulkDataAcceleration);
  checkLogger(options.logger, problems);
  const auditors = Object.entries(options.auditors ?? {});
  for (const [type, auditor] of auditors) {
    if (typeof auditor !== 'function') problems.add(`auditors.${type}`, 'must be a function');
  }
  problems.throwIfAny();
  return {
    ...identity,
    bulkDataAcceleration: options.bulkDataAcceleration ?? false,
    auditors: new Map(auditors),
    logger: options.logger ?? stderrLogger,
  };
}

/** The token is sent to this address, so it must be encrypted, except for a stand-in on this host. */
function checkEndpoint(value: unknown, problems: Problems): void {
  if (typeof value !== 'string' || value === '') return;
  const url = URL.parse(value);
  const loopback = url !== null && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url === null || !(url.protocol === 'https:' || (url.protocol === 'http:' && loopback))) {
    problems.add('appsyncEndpoint', 'must be an https URL (APPSYNC_ENDPOINT)');
  }
}

function checkLogger(logger: Partial<Logger> | undefined, problems: Problems): void {
  if (logger === undefined) return;
  const levels = ['debug', 'info', 'warn', 'error'] as const;
  if (levels.some((level) => typeof logger?.[level] !== 'function')) {
    problems.add('logger', `must have the functions ${levels.join(', ')}`);
  }
}
