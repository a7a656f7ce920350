/**
 * Measures the cost of saving and restoring a user's files, compared with the predecessor's tools and with plain tar.
 */

import { execFile } from 'node:child_process';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NODE_FLAGS } from '../scripts/node-flags.ts';
import { type Measure, median, ofPairs, row } from './measure.ts';
import type { Taken } from './measure-configs.ts';

const ROOT = join(import.meta.dirname, '..');
const BUNDLE = join(ROOT, 'build/bench');
const ENTRIES = ['measure-configs', 'make-profile', 's3-server']
  .map((name) => `bench/${name}.ts`)
  .concat('user-configs/encrypting-worker.ts');
const ADDON = `uinput-linux-${process.arch}.node`;
/** Bytes. */
const MEMORY = 64_000_000;

export const measure: Measure = async (say) => {
  say('about two minutes');
  const run = promisify(execFile);
  await run(process.execPath, ['scripts/bundle.ts', BUNDLE, ...ENTRIES], { cwd: ROOT });
  await copyFile(join(ROOT, 'build', ADDON), join(BUNDLE, ADDON));
  const { stdout } = await run(process.execPath, [...NODE_FLAGS, join(BUNDLE, 'measure-configs.mjs')]);
  const { saves, restores, checkpoints, growths }: Taken = JSON.parse(stdout);
  const full = median(saves.map(([ours]) => ours));
  const most = (values: readonly number[]) => Math.max(...values);
  return {
    method: `A profile of 500 MB with 12,000 small files and ten large ones, on this machine's disk, saved by the bundle; ${saves.length} rounds in random order, each after a sync. A save ends when S3, which another process simulates, has all of it. In comparison, tar, lz4 and openssl write a file, and one request uploads it. The memory is that of the service's process, without the tools that it starts.`,
    rows: [
      ofPairs('save over tar, lz4, openssl and an upload', saves, { median: 0.5 }),
      ofPairs('restore over tar -x', restores, { median: 1.2 }),
      row(
        'checkpoint after 1 % of the files changed, over a full save',
        median(checkpoints) / full,
        most(checkpoints) / full,
        { median: 0.1 },
      ),
      row('growth of memory over 64 MB', median(growths) / MEMORY, most(growths) / MEMORY, { p95: 1 }),
    ],
  };
};
