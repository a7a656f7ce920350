/** Keeps a directory in which files accumulate from growing without limit. */

import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes all files except the newest `most`. Other processes may add and remove files meanwhile. */
export async function removeOldest(directory: string, most: number): Promise<void> {
  const paths = (await readdir(directory)).map((name) => join(directory, name));
  if (paths.length <= most) return;
  const files = await Promise.all(paths.map(async (path) => ({ path, at: await timeOf(path) })));
  const old = files.sort((a, b) => b.at - a.at).slice(most);
  for (const { path } of old) await rm(path, { force: true });
}

/** @returns the oldest possible time if the file has been removed meanwhile */
async function timeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.mtimeMs ?? Number.POSITIVE_INFINITY;
}
