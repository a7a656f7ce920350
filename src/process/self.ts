/** How this program starts itself another time, be it sources, a bundle or one executable. */

import { isSea } from 'node:sea';

/** Words for `process.execPath`, before those that say what to do. */
export function ownWords(): readonly string[] {
  return isSea() ? [] : [...process.execArgv, process.argv[1] as string];
}
