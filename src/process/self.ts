/** How this program starts another copy of itself, whether it runs from sources, a bundle or an executable. */

import { isSea } from 'node:sea';

/** The arguments for `process.execPath` before those of the command. */
export function ownWords(): readonly string[] {
  return isSea() ? [] : [...process.execArgv, process.argv[1] as string];
}
