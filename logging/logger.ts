/**
 * The log: one JSON line for each event on stdout, or readable lines where stdout is a terminal. It is
 * written synchronously, so that nothing is lost when the process dies.
 */

import { type DestinationStream, destination, type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';

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
  'Env',
];

export interface LoggerOptions {
  readonly level: string;
  readonly terminal: boolean;
  /** Fields that every line carries. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Where lines go instead of stdout. */
  readonly stream?: DestinationStream;
}

export function createLogger({ level, terminal, tags = {}, stream }: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { pid: process.pid, ...tags },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.errWithCause },
      redact: { paths: SECRET_FIELDS.flatMap(atEachDepth), censor: '[redacted]' },
    },
    stream ?? openStdout(terminal),
  );
}

function openStdout(terminal: boolean): DestinationStream {
  if (terminal) return pretty({ sync: true, colorize: true, singleLine: true, ignore: 'pid' });
  const stdout = destination({ fd: 1, sync: true });
  // A full disk behind stdout loses lines; it must not cost the process its life.
  stdout.on('error', () => {});
  return stdout;
}

function atEachDepth(field: string): string[] {
  return [field, `*.${field}`, `*.*.${field}`];
}
