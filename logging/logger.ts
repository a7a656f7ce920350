/**
 * The log: one JSON line for each event; stdout shows them in a readable form where it is a terminal. It is
 * written synchronously, so that nothing is lost when the process dies.
 */

import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { messageOf } from '../errors/service-error.ts';

export type { Logger };

/** Fields whose values never show, at any of the first three depths of a line. */
const SECRET_FIELDS = [
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
];

/** Characters that wait for a stdout that takes none. */
const MOST_WAITING = 1024 * 1024;

export interface LoggerOptions {
  readonly level: string;
  /** Where the lines go. */
  readonly stream: DestinationStream;
}

export function createLogger({ level, stream }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: serializeError },
      redact: { paths: SECRET_FIELDS.flatMap(atEachDepth), censor: '[redacted]' },
    },
    stream,
  );
}

/** @param terminal whether a person reads along */
export async function openStdout(terminal: boolean): Promise<DestinationStream> {
  if (terminal)
    return (await import('pino-pretty')).default({
      sync: true,
      colorize: true,
      singleLine: true,
      ignore: 'pid',
    });
  // A full disk behind stdout loses lines; it must cost the process neither its life nor its memory.
  const stdout = destination({ fd: 1, sync: true, maxLength: MOST_WAITING });
  stdout.on('error', () => {});
  return stdout;
}

function atEachDepth(field: string): string[] {
  return [field, `*.${field}`, `*.*.${field}`];
}

/** An error as a line has it. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly code?: unknown;
  readonly cause?: LoggedError;
}

/** Causes of causes that are followed. */
const DEPTH = 5;

/** None of the fields that libraries put into their errors: they may hold what was sent or answered. */
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
