/** A resource without anything real behind it: it records what is done with it. */

import type { Resource } from '../../lifetime/lifetime.ts';

/** @param log receives each step, as `take <what>`, `release <what>`, `look for <what>` */
export function pretendedResource(
  what: string,
  log: string[] = [],
  changes: Partial<Resource<string>> = {},
): Resource<string> {
  return {
    kind: 'thing',
    what,
    take: () => {
      log.push(`take ${what}`);
      return what;
    },
    release: () => log.push(`release ${what}`),
    seenGone: () => {
      log.push(`look for ${what}`);
      return 'looked for it';
    },
    ...changes,
  };
}
