/** Processes and their descriptors: one process must not leak any, and one has few. */

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Runs a script, an ES module, in a Node process that can have at most 64 descriptors. */
export function runWithFew(script: string, ...words: readonly string[]): SpawnSyncReturns<string> {
  const node = [process.execPath, '--input-type=module', '-e', script, ...words];
  return spawnSync('sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', ...node], { encoding: 'utf8' });
}

/**
 * Runs it once, so that permanent descriptors exist, and then repeatedly, with several at a time. In the end there must be no
 * more descriptors.
 */
export async function keepsNone(pid: number, act: () => Promise<void>): Promise<void> {
  const count = () => readdirSync(`/proc/${pid}/fd`).length;
  await act();
  const before = count();
  for (let i = 0; i < 5; i++) await Promise.all([act(), act(), act()]);
  const late = performance.now() + 20_000;
  while (count() > before) {
    assert.ok(performance.now() < late, `${before} descriptors, then ${count()}`);
    await pause(20);
  }
}
