/** Removes trees that hostile programs may be changing. */

import { addon } from './addon.ts';

/**
 * Removes the entry `name` of a directory that only root can write to, and everything in it. It does not follow links
 * or enter mounts, even if the tree changes meanwhile.
 * @param directory its own path may contain links
 * @param milliseconds the time limit
 * @throws Error with the `code` ETIMEDOUT when the time is over; another call continues with the rest
 */
export function removeByDescriptors(directory: string, name: string, milliseconds: number): Promise<void> {
  return addon().removeTree(directory, name, milliseconds);
}
