/** Descriptors that the programs of this process must not get. */

import { readdirSync } from 'node:fs';
import { addon } from './addon.ts';

/**
 * The programs that this process starts get none of its present descriptors but the standard ones. Node keeps its own from them,
 * and not those that this process inherited after a gap.
 */
export function closeOnExec(): void {
  for (const descriptor of readdirSync('/proc/self/fd').map(Number)) {
    try {
      if (descriptor > 2) addon().closeOnExec(descriptor);
    } catch {
      // It was the directory itself, which is closed.
    }
  }
}
