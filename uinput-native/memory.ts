/** The memory of this process. */

import { addon } from './addon.ts';

/**
 * Returns the memory to the kernel that threads have freed and glibc still keeps. With many threads that stream data,
 * it adds up.
 */
export async function trimMemory(): Promise<void> {
  await addon().trimMemory();
}
