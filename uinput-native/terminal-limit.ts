/** Limits how many pseudo-terminals a container can open, because all containers share one total of the kernel. */

import { addon } from './addon.ts';

/**
 * @param pid of a process in the container
 * @throws Error with a `code`: ENOENT if the container has no devpts instance of its own, ENOSYS before Linux 5.6
 */
export function limitTerminals(pid: number, most: number): void {
  addon().limitTerminals(pid, most);
}
