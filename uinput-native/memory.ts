/** The memory of this process. */

import { addon } from './addon.ts';

/** Gives back to the kernel what threads have freed and glibc keeps for them: by many threads that stream, it adds up. */
export async function trimMemory(): Promise<void> {
  await addon().trimMemory();
}
