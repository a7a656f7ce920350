/**
 * Measures the cost of a container's input devices, compared with a C program that only creates them. Runs in the guest
 * of the tests.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Measure, ofPairs } from './measure.ts';

type Taken = readonly [calls: number, usable: number];
type Pair = readonly [Taken, Taken];

const BOOT = join(import.meta.dirname, '../test/vm/boot.ts');

export const measure: Measure = async (say) => {
  say('in the guest, about two minutes');
  const { stdout } = await promisify(execFile)(process.execPath, [BOOT, 'measure-input.ts']);
  const line = stdout.split('\n').find((one) => one.startsWith('{"pairs"'));
  if (!line) throw new Error(`the guest measured nothing:\n${stdout}`);
  const { pairs, controls }: Readonly<Record<'pairs' | 'controls', Pair[]>> = JSON.parse(line);
  const of = (which: 0 | 1, taken: readonly Pair[]) =>
    taken.map(([one, other]) => [one[which], other[which]] as const);
  return {
    method: `A container's three devices, created together by the addon, compared with a C program that makes the same calls; ${pairs.length} pairs in random order, in a guest with an emulated processor. Devices are usable when udev has recorded them, which both sides wait for. As many pairs compare the C program with itself; their difference from 1 is noise.`,
    rows: [
      ofPairs('the calls that create the devices', of(0, pairs), { median: 1.5 }),
      ofPairs('the same calls, the C program compared with itself', of(0, controls), {}),
      ofPairs('time until the devices are usable', of(1, pairs), { median: 1.5, aim: true }),
      ofPairs('the same time, the C program compared with itself', of(1, controls), {}),
    ],
  };
};
