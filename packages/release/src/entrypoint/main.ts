/**
 * `ecs-entrypoint`: the ENTRYPOINT of an image that contains several programs. It prepares the chosen program, and then
 * replaces itself with it through execve(2). The process id, the signals and the exit code are therefore the program's
 * own.
 *
 * All output uses write(2) directly; `untouched-streams.ts` explains why.
 */

import './untouched-streams.ts';

import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, EntryError, EXIT_CODES } from './entry-error.ts';
import { prepare } from './prepare.ts';

const USAGE = `Usage: ecs-entrypoint [--table FILE] [--check] [WORD ...]

Fetches the secret that IDENTITY names from Secrets Manager, gives it to the program that application_type picks in the
table (/etc/ecs-entrypoint.yaml), and becomes that program. WORDs follow its command.

  --table FILE   another table
  --check        prepare everything, say what would run, and exit
  --help         show this text
`;

const TABLE = '/etc/ecs-entrypoint.yaml';
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
/**
 * Node ignores SIGPIPE and SIGXFSZ. An ignored signal would stay ignored after execve(2), but a handled one does not.
 * SIGUSR1 would open Node's inspector.
 */
const HANDLED = ['SIGPIPE', 'SIGXFSZ', 'SIGUSR1'] as const;

class Signalled extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof SIGNALS) {
    super(`stopped by ${signal} before the program started`);
    this.exitCode = 128 + SIGNALS[signal];
  }
}

function readWords(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { table: { type: 'string' }, check: { type: 'boolean' }, help: { type: 'boolean' } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new EntryError('usage', `${(error as Error).message}\n\n${USAGE.trimEnd()}`);
  }
}

async function run(args: readonly string[]): Promise<void> {
  const stopped = new AbortController();
  // The first process of a container has no default actions for signals.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stopped.abort(new Signalled(signal)));
  for (const signal of HANDLED) process.on(signal, () => {});
  const { values, positionals } = readWords(args);
  if (values.help) {
    writeSync(1, USAGE);
    return;
  }
  const { file, words, environment } = await prepare({
    environment: process.env,
    table: values.table ?? TABLE,
    moreWords: positionals,
    connect: (region) => new SecretsManagerClient({ region, maxAttempts: 5 }),
    signal: stopped.signal,
  });
  if (values.check) {
    writeSync(1, `ecs-entrypoint would run ${file} with ${words.length - 1} arguments\n`);
    return;
  }
  // Handle a signal that is already pending, before execve(2) discards it.
  await new Promise(setImmediate);
  stopped.signal.throwIfAborted();
  process.execve?.(file, words, environment);
}

run(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof EntryError || error instanceof Signalled ? error.message : describe(error);
  writeSync(2, `ecs-entrypoint: ${message}\n`);
  process.exitCode =
    error instanceof EntryError ? EXIT_CODES[error.problem] : error instanceof Signalled ? error.exitCode : 1;
});
