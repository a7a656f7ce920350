/** The task sizes that Fargate offers. Source: AWS's page on task definition parameters for Fargate. */

import { ReleaseError } from '../errors.ts';

const GIB = 1024;

const range = (from: number, to: number, step: number): readonly number[] =>
  Array.from({ length: (to - from) / step + 1 }, (_, i) => from + i * step);

/** Memory sizes in MiB, by vCPU. */
const SIZES: ReadonlyMap<number, readonly number[]> = new Map([
  [0.25, [512, GIB, 2 * GIB]],
  [0.5, range(GIB, 4 * GIB, GIB)],
  [1, range(2 * GIB, 8 * GIB, GIB)],
  [2, range(4 * GIB, 16 * GIB, GIB)],
  [4, range(8 * GIB, 30 * GIB, GIB)],
  [8, range(16 * GIB, 60 * GIB, 4 * GIB)],
  [16, range(32 * GIB, 120 * GIB, 8 * GIB)],
]);

/** @throws ReleaseError usage that lists the sizes that Fargate offers */
export function checkSize(what: string, vcpu: number, memory: number): void {
  const fits = SIZES.get(vcpu);
  if (!fits) {
    const known = [...SIZES.keys()].join(', ');
    throw new ReleaseError(
      'usage',
      `${what} has ${vcpu} vCPU, which Fargate does not offer. Use one of ${known}.`,
    );
  }
  if (!fits.includes(memory)) {
    throw new ReleaseError(
      'usage',
      `${what} has ${memory} MiB with ${vcpu} vCPU, which Fargate does not offer. Use one of ${fits.join(', ')}.`,
    );
  }
}
