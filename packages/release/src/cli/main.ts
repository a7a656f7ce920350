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
  try {
    const run = await parsed.row.load();
    return await run(parsed.given, surroundings);
  } catch (error) {
    return explain(error, parsed.given.flag('json'));
  }
}

function explain(error: unknown, isJson: boolean): number {
  // A read-only command that was interrupted has no error to report.
  if (stop.signal.aborted && !(error instanceof ReleaseError)) return INTERRUPTED;
  const kind = error instanceof ReleaseError ? error.kind : 'failed';
  const text = messageOf(error);
  const line = JSON.stringify({ event: 'error', kind, exitCode: EXIT_CODES[kind], text });
  stderr.write(isJson ? `${line}\n` : `ecs-release: ${text}\n`);
  return EXIT_CODES[kind];
}

// No top-level await, so that this file can be bundled for the executable.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
