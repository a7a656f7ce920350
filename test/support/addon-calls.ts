/** Calls the addon with random arguments, in a separate process. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ADDON = join(import.meta.dirname, `../../build/uinput-linux-${process.arch}.node`);
const SCRIPT = join(import.meta.dirname, 'addon-calls.cjs');

/**
 * @returns the last output of the process
 * @throws when the process crashed
 */
export function callAtRandom(seed: number, count: number): string {
  const words = ['--expose-gc', SCRIPT, ADDON, String(seed), String(count)];
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    cwd: tmpdir(),
  });
  assert.deepEqual([status, signal], [0, null], stdout + stderr);
  return stdout.trim();
}
