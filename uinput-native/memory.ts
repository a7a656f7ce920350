/** How this process gives memory back. */

import { addon } from './addon.ts';

/**
 * From now on, pieces that are at least so large go back to the kernel as soon as they are freed.
 * @throws Error with the `code` EINVAL
 */
export function giveBackFrom(bytes: number): void {
  addon().giveBackFrom(bytes);
}
