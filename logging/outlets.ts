/**
 * Distributes the lines of the log: always to the first outlet, and also to Sentry and logz.io once reporting has
 * started. `secrets` redacts each line before any outlet gets it.
 */

import type { DestinationStream } from 'pino';
import { Secrets } from './secrets.ts';

/** Accepts one line, which ends with a line feed. It must neither throw nor block. */
export interface Outlet {
  write(line: string): void;
}

export class Outlets implements DestinationStream {
  readonly secrets = new Secrets();
  readonly #outlets: Outlet[];

  constructor(first: Outlet) {
    this.#outlets = [first];
  }

  add(outlet: Outlet): void {
    this.#outlets.push(outlet);
  }

  write(line: string): void {
    const hidden = this.secrets.hide(line);
    for (const outlet of this.#outlets) outlet.write(hidden);
  }
}
