/**
 * Runs Docker's command line for builds, pushes and logins. Secrets reach it through stdin or by name, never as an
 * argument.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ReleaseError } from '../errors.ts';

export type Docker = (words: readonly string[], input?: string) => Promise<void>;

/**
 * Docker's output goes to stderr as it appears.
 * @throws ReleaseError failed when docker fails or cannot be started
 */
export function dockerFor(env: Readonly<Record<string, string | undefined>>, signal: AbortSignal): Docker {
  return async (words, input) => {
    const child = spawn('docker', words, {
      env: needsBuildKit(words) ? { ...env, DOCKER_BUILDKIT: '1' } : { ...env },
      stdio: ['pipe', 2, 2],
      signal,
    });
    const ended = once(child, 'close').catch((error: unknown) => {
      throw new ReleaseError(
        'failed',
        'The docker command could not be started. Install the docker command line.',
        {
          cause: error,
        },
      );
    });
    child.stdin?.on('error', () => {}).end(input ?? '');
    const [code] = await ended;
    if (code === 0) return;
    throw new ReleaseError(
      'failed',
      `"docker ${words[0]}" exited with code ${String(code)}; its output above says why. "ecs-release doctor" explains common causes.`,
    );
  };
}

/** Only BuildKit keeps secrets out of layers. */
function needsBuildKit(words: readonly string[]): boolean {
  return words.includes('--secret');
}
