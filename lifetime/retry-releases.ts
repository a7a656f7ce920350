/** What could not be released the first time, such as a directory that was busy, is tried again, as long as there is something to hold. */

import type { Lifetime } from './lifetime.ts';

/** Milliseconds between attempts. */
const BETWEEN = 60_000;

export function retryReleases(root: Lifetime): void {
  const timer = setInterval(() => void root.track('releasing again', root.holdings.retry()), BETWEEN);
  root.signal.addEventListener('abort', () => clearInterval(timer));
}
