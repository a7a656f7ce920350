/** Limits how many pseudo terminals a container can open, of which the kernel has a number for all. */

import { addon } from './addon.ts';

/**
 * @param pid of a process in the container
 * @throws Error with a `code`: ENOENT where it has no terminals of its own, ENOSYS before Linux 5.6
 */
export function limitTerminals(pid: number, most: number): void {
  addon().limitTerminals(pid, most);
}
