/**
 * Measures the cost of a container's input devices, compared with a C program that only creates them. Runs in the guest
 * of the tests.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Measure, ofPairs } from './measure.ts';

type Taken = readonly [calls: number, usable: number];

const BOOT = join(import.meta.dirname, '../test/vm/boot.ts');

export const measure: Measure = async (say) => {
  say('in the guest, about two minutes');
  const { stdout } = await promisify(execFile)(process.execPath, [BOOT, 'measure-input.ts']);
  const line = stdout.split('\n').find((one) => one.startsWith('{"pairs"'));
  if (!line) throw new Error(`the guest measured nothing:\n${stdout}`);
  const { pairs }: { pairs: (readonly [Taken, Taken])[] } = JSON.parse(line);
  const of = (which: 0 | 1) => pairs.map(([ours, theirs]) => [ours[which], theirs[which]] as const);
  return {
    method: `A container's three devices, created together by the addon, compared with a C program that makes the same calls; ${pairs.length} pairs in random order, in a guest with an emulated processor. Devices are usable when udev has recorded them, which both sides wait for.`,
    rows: [
      ofPairs('the calls that create the devices', of(0), { median: 1.5 }),
      ofPairs('time until the devices are usable', of(1), { median: 1.5, aim: true }),
    ],
  };
};
