/**
 * The GPUs of this host, as nvidia's driver lists them in /proc. A GPU is identified by its UUID, which stays the same
 * when other GPUs are added or removed.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const UUID = /^GPU(-[0-9a-f]+)+$/;

/**
 * Source: the README of nvidia's Linux driver, chapter "The /proc interface".
 * @param directory contains a directory for each GPU
 * @returns the UUIDs, in the order of the PCI bus; none if there is no driver, or if the driver does not know one of
 * them yet
 */
export async function gpusIn(directory: string): Promise<string[]> {
  const slots = await readdir(directory).catch(() => []);
  const texts = await Promise.all(
    slots
      .toSorted((a, b) => (a < b ? -1 : 1))
      .map((slot) => readFile(join(directory, slot, 'information'), 'utf8')),
  );
  const found = texts.map((text) => /^GPU UUID:\s+(\S+)$/m.exec(text)?.[1] ?? '');
  return found.every((uuid) => UUID.test(uuid)) ? found : [];
}
