/** The time that all processors of this host have spent on work, from /proc/stat. */

import { readFile } from 'node:fs/promises';

/** In ticks since the host was booted. */
export interface ProcessorTime {
  readonly busy: number;
  readonly total: number;
}

/** @param file in the format of /proc/stat @throws Error when the first line is missing */
export async function readProcessorTime(file = '/proc/stat'): Promise<ProcessorTime> {
  const [, line = ''] = /^cpu +([\d ]+)$/m.exec(await readFile(file, 'utf8')) ?? [];
  // The last two fields, the time of guests, are already part of the first two.
  const [user, nice, system, idle, waiting, ...others] = line.split(' ').map(Number).slice(0, 8);
  if (idle === undefined || waiting === undefined) throw new Error(`${file} has no line for all processors`);
  const busy = [user, nice, system, ...others].reduce<number>((sum, one = 0) => sum + one, 0);
  return { busy, total: busy + idle + waiting };
}
