/** Counts failed looks at Docker, and reports when they begin to fail and when they succeed again. */

import { type Backoff, backoff } from '../lifetime/backoff.ts';
import type { Logger } from '../logging/logger.ts';

const AGAIN: Backoff = { shortest: 1_000, longest: 300_000 };

export class Looks {
  readonly #tell: (why: string | undefined) => void;
  readonly #log: Logger;
  #failures = 0;

  constructor(tell: (why: string | undefined) => void, log: Logger) {
    this.#tell = tell;
    this.#log = log;
  }

  /** @param why why the look failed; undefined if it succeeded */
  ended(why: string | undefined): void {
    const before = this.#failures;
    this.#failures = why === undefined ? 0 : before + 1;
    if (before > 0 === this.#failures > 0) return;
    if (why === undefined) this.#log.info('the service can see the containers again');
    else this.#log.warn({ why }, 'cannot list the containers');
    this.#tell(why);
  }

  /** Milliseconds until the next look; undefined if the last look succeeded. */
  get pause(): number | undefined {
    return this.#failures === 0 ? undefined : backoff(this.#failures - 1, AGAIN);
  }
}
