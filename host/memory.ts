/** The memory of this host, from /proc/meminfo. */

import { readFile } from 'node:fs/promises';

/** In KiB. */
export interface Memory {
  readonly total: number;
  readonly free: number;
  readonly available: number;
}

/** @param file in the format of /proc/meminfo @throws Error when a line is missing */
export async function readMemory(file = '/proc/meminfo'): Promise<Memory> {
  const text = await readFile(file, 'utf8');
  const find = (name: string): number => {
    const found = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1];
    if (!found) throw new Error(`${file} has no line "${name}"`);
    return Number(found);
  };
  return { total: find('MemTotal'), free: find('MemFree'), available: find('MemAvailable') };
}
