/**
 * Runs Docker's command line for builds, pushes and logins. Secrets reach it through stdin or by name, never as an
 * argument.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ReleaseError } from '../errors.ts';
import type { Tell } from '../release/progress.ts';

export type Docker = (words: readonly string[], input?: string) => Promise<void>;

/** Docker itself retries only some of the transfers of a pull or a push. */
const REPEATED: ReadonlySet<string | undefined> = new Set(['pull', 'push']);

/**
 * Docker's output goes to stderr as it appears. A failed pull or push is retried once.
 * @throws ReleaseError failed when docker fails or cannot be started; the signal's reason
 */
export function dockerFor(
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  tell: Tell,
): Docker {
  return async (words, input) => {
    const [command] = words;
    let code = await codeOf(words, env, signal, input);
    if (code !== 0 && REPEATED.has(command)) {
      const text = `"docker ${command}" exited with code ${String(code)}; trying once more`;
      tell({ event: 'failure', text });
      code = await codeOf(words, env, signal, input);
    }
    if (code === 0) return;
    throw new ReleaseError(
      'failed',
      `"docker ${command}" exited with code ${String(code)}; its output above says why. "ecs-release doctor" explains common causes.`,
    );
  };
}

/** @returns null when a signal ended docker */
async function codeOf(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
  input = '',
): Promise<number | null> {
  const child = spawn('docker', words, {
    env: needsBuildKit(words) ? { ...env, DOCKER_BUILDKIT: '1' } : { ...env },
    stdio: ['pipe', 2, 2],
    signal,
  });
  const ended = once(child, 'close').catch((error: unknown) => {
    if (signal.aborted) throw signal.reason;
    throw new ReleaseError(
      'failed',
      'The docker command could not be started. Install the docker command line.',
      {
        cause: error,
      },
    );
  });
  child.stdin?.on('error', () => {}).end(input);
  const [code] = await ended;
  return code;
}

/** Only BuildKit keeps secrets out of layers. */
function needsBuildKit(words: readonly string[]): boolean {
  return words.includes('--secret');
}
