/** Runs measured programs as separate processes. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_FLAGS } from '../scripts/node-flags.ts';

const ROOT = join(import.meta.dirname, '..');

/** Starts a program with its output in a file, because reading the output here would affect the measurement. */
export function start(program: string, words: readonly string[], env: Record<string, string>): ChildProcess {
  const output = openSync('/run/test/output.log', 'a');
  return spawn(process.execPath, [...NODE_FLAGS, join(ROOT, program), ...words], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', output, 'inherit'],
  });
}

export async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
