/**
 * The log: one JSON line for each event, or a readable form if stdout is a terminal. It writes synchronously, so that
 * nothing is lost when the process dies.
 */

import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { messageOf } from '../errors/service-error.ts';

export type { Logger };

/** Fields whose values are always redacted, at the first levels of a line. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'auth_secret',
  'client_app_auth_secret',
  'clientAppAuthSecret',
  'config_encryption_token',
  'configEncryptionToken',
  'token',
  'secret',
  'password',
  'authorization',
  'WEBSERVER_AUTH_SECRET',
  'AuthToken',
  'Env',
]);
const SECRET_LEVELS = 3;
/** The field of an error, whose serialiser leaves out everything that could be secret. */
const ERROR = 'error';

/** Maximum number of characters that wait while stdout is blocked. */
const MOST_WAITING = 1024 * 1024;

export interface LoggerOptions {
  readonly level: string;
  /** Where the lines are written. */
  readonly stream: DestinationStream;
}

export function createLogger({ level, stream }: LoggerOptions): Logger {
  const log = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
      serializers: { [ERROR]: serializeError },
    },
    stream,
  );
  // pino has no formatter for the fields of a child.
  const parent: Logger = Object.getPrototypeOf(log);
  const child = function (this: Logger, fields: object) {
    return parent.child.call(this, withoutSecrets(fields));
  };
  return Object.assign(log, { child });
}

/** @param terminal whether stdout is a terminal that a person reads */
export async function openStdout(terminal: boolean): Promise<DestinationStream> {
  if (terminal)
    return (await import('pino-pretty')).default({
      sync: true,
      colorize: true,
      singleLine: true,
      ignore: 'pid',
    });
  // If the disk behind stdout is full, lines are lost. That must not end the process or let its memory grow.
  const stdout = destination({ fd: 1, sync: true, maxLength: MOST_WAITING });
  stdout.on('error', () => {});
  return stdout;
}

/**
 * Redacts the secret fields. It returns the same object if there are none, as in nearly every line; pino's own redaction
 * takes much longer, because it parses every path again for every field of a line.
 */
function withoutSecrets<T extends object>(given: T, levels = SECRET_LEVELS): T {
  const fields = given as Record<string, unknown>;
  let redacted: Record<string, unknown> | undefined;
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    const shown = shownAs(name, value, levels);
    if (shown === value) continue;
    redacted ??= (Array.isArray(given) ? [...given] : { ...given }) as Record<string, unknown>;
    redacted[name] = shown;
  }
  return (redacted ?? given) as T;
}

function shownAs(name: string, value: unknown, levels: number): unknown {
  if (value === undefined) return undefined;
  if (SECRET_FIELDS.has(name)) return '[redacted]';
  const isLast = levels === 1 || (levels === SECRET_LEVELS && name === ERROR);
  if (isLast || typeof value !== 'object' || value === null) return value;
  return withoutSecrets(value, levels - 1);
}

/** An error in the form that a log line has. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly code?: unknown;
  readonly cause?: LoggedError;
}

/** Maximum depth of causes. */
const DEPTH = 5;

/** Leaves out the fields that libraries add to their errors: they may contain requests or answers. */
export function serializeError(error: unknown, depth = DEPTH): LoggedError {
  const message = messageOf(error);
  if (!(error instanceof Error)) return { type: typeof error, message, stack: message };
  const { name: type, stack = message, cause } = error;
  return {
    type,
    message,
    stack,
    ...('code' in error && { code: error.code }),
    ...(cause !== undefined && depth > 0 && { cause: serializeError(cause, depth - 1) }),
  };
}
