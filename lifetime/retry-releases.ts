/** Retries failed releases, for example of a directory that was busy, until none is left. */

import type { Lifetime } from './lifetime.ts';

/** Milliseconds between attempts. */
const BETWEEN = 60_000;

export function retryReleases(root: Lifetime): void {
  const timer = setInterval(() => void root.track('releasing again', root.holdings.retry()), BETWEEN);
  root.signal.addEventListener('abort', () => clearInterval(timer));
}
