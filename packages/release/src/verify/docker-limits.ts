/** Compares Docker's limits on this machine with the needs of builds. Too little memory makes a build hang or die. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ImageConfig } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { type Check, good, unknown, warning } from './check.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
/** Bytes below which builds of front ends often die. */
const LITTLE = 2 * 1024 ** 3;

/** @returns nothing when no image is built here */
export async function checkDocker(
  images: Readonly<Record<string, ImageConfig>> = {},
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const built = Object.values(images).filter(({ remote, mirror }) => !remote && mirror === undefined);
  if (built.length === 0) return [];
  try {
    const words = ['info', '--format', '{{.NCPU}} {{.MemTotal}}'];
    const { stdout } = await promisify(execFile)('docker', words, { env: { ...env }, signal });
    const [cpus = 0, bytes = 0] = stdout.trim().split(' ').map(Number);
    return [judgeDocker(cpus, bytes, built)];
  } catch (error) {
    return [unknown('docker', `it does not answer, but builds need it: ${messageOf(error)}`)];
  }
}

/** @param bytes the memory that Docker has */
export function judgeDocker(cpus: number, bytes: number, built: readonly ImageConfig[]): Check {
  const asked = Math.max(0, ...built.map(({ memory = '' }) => bytesOf(memory)));
  const what = `docker (${cpus} processors, ${mebibytes(bytes)})`;
  if (asked > bytes)
    return warning(
      what,
      `a build requests ${mebibytes(asked)}. Give Docker more memory, or use CodeBuild ("remote").`,
    );
  if (bytes < LITTLE)
    return warning(
      what,
      'builds may hang or be killed for lack of memory. Give Docker more, or use CodeBuild ("remote").',
    );
  return good(what);
}

/** Parses a size as Docker writes it, such as 3072m. */
function bytesOf(written: string): number {
  const [, count = '0', unit = ''] = /^(\d+)([bkmg]?)$/i.exec(written) ?? [];
  return Number(count) * (UNITS[unit.toLowerCase()] ?? 1);
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
