/**
 * Runs in the guest: all test files here, or those that are named. If all have passed, it leaves the service behind with a
 * container, restarts the guest, and runs the tests that check the state after the restart.
 */

import { execFileSync } from 'node:child_process';
import { globSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runFiles } from '../support/run-files.ts';

const RESTARTED = '/var/lib/guest-restarted';
const named = process.argv.slice(2).map((file) => basename(file).replace(/\.ts$/, '.mjs'));
const tests = globSync('*.test.mjs', { cwd: import.meta.dirname })
  .filter((file) => named.length === 0 || named.includes(file))
  .sort();
const [after, before] = [true, false].map((wanted) =>
  tests.filter((file) => file.startsWith('after-restart') === wanted),
) as [string[], string[]];
const hasRestarted = globSync(RESTARTED).length > 0;

process.exitCode = 0;
const files = (hasRestarted ? after : before).map((file) => join(import.meta.dirname, file));
if (files.length > 0) await runFiles(files, { concurrency: 1, tellAtOnce: true });

if (!hasRestarted && process.exitCode === 0 && after.length > 0) {
  const { leaveBehind } = await import('./leave-behind.ts');
  await leaveBehind();
  writeFileSync(RESTARTED, '');
  console.log('the guest is restarted …');
  execFileSync('systemctl', ['--no-block', 'reboot']);
  // The outside world continues until systemd ends this process, after it has stopped the service.
  await pause(60_000);
}
