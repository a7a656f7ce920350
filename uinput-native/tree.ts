/** Removes trees in which hostile programs may be at work. */

import { addon } from './addon.ts';

/**
 * Removes what `name` is in a directory that root alone can write, with all that is in it. It follows no link and enters
 * no mount, even when the tree is changed meanwhile.
 * @param directory itself may be reached by a link
 * @param milliseconds that it may take
 * @throws Error with the `code` ETIMEDOUT when it takes longer; calling it again goes on with what is left
 */
export function removeByDescriptors(directory: string, name: string, milliseconds: number): Promise<void> {
  return addon().removeTree(directory, name, milliseconds);
}
