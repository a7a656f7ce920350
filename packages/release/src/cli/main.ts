#!/usr/bin/env node
/** The entry point of the command `ecs-release`. */

import { EXIT_CODES, messageOf, ReleaseError } from '../errors.ts';
import { parse } from './program.ts';
import type { Surroundings } from './row.ts';

const { env, stdin, stdout, stderr } = process;
const stop = new AbortController();
/** The exit code that shells use for a process that Ctrl-C ended. */
const INTERRUPTED = 130;

async function main(words: readonly string[]): Promise<number> {
  const parsed = parse(words);
  if (parsed.is !== 'command') {
    (parsed.is === 'help' ? stdout : stderr).write(parsed.text);
    return parsed.is === 'help' ? 0 : EXIT_CODES.usage;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const surroundings: Surroundings = { env, stdin, stdout, stderr, signal: stop.signal };
  const run = await parsed.row.load();
  return await run(parsed.given, surroundings);
}

function explain(error: unknown): number {
  // A read-only command that was interrupted has no error to report.
  if (stop.signal.aborted && !(error instanceof ReleaseError)) return INTERRUPTED;
  stderr.write(`ecs-release: ${messageOf(error)}\n`);
  return error instanceof ReleaseError ? EXIT_CODES[error.kind] : EXIT_CODES.failed;
}

// No top-level await, so that this file can be bundled for the executable.
void main(process.argv.slice(2))
  .catch(explain)
  .then((code) => {
    process.exitCode = code;
  });
