/** The command as a user starts it, in a separate process. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly ended: Promise<Ran>;
  /** The output so far. */
  readonly stdout: string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when stderr contains a match. */
  says(what: RegExp): Promise<void>;
  /** Resolves when stdout contains a match. */
  prints(what: RegExp): Promise<void>;
}

export function start(
  words: readonly string[],
  how: { readonly cwd: string; readonly env?: Record<string, string> },
): Running {
  const child = spawn(process.env.TEST_NODE ?? process.execPath, [MAIN, ...words], {
    cwd: how.cwd,
    env: { ...process.env, ...how.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const heard = async (stream: Readable, text: () => string, what: RegExp) => {
    while (!what.test(text())) {
      const next = await Promise.race([once(stream, 'data'), ended]);
      if (!Array.isArray(next) && !what.test(text())) throw new Error(`it never said ${what}: ${stderr}`);
    }
  };
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    ended,
    get stdout() {
      return stdout;
    },
    kill: (signal) => void child.kill(signal),
    says: (what) => heard(child.stderr, () => stderr, what),
    prints: (what) => heard(child.stdout, () => stdout, what),
  };
}

export async function run(
  words: readonly string[],
  how: { readonly cwd: string; readonly env?: Record<string, string> },
): Promise<Ran> {
  return await start(words, how).ended;
}
