/** A resource that holds nothing real: it writes down what is done with it. */

import type { Resource } from '../../lifetime/lifetime.ts';

/** @param log is told each step, as `take <what>`, `release <what>`, `look for <what>` */
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
