/**
 * Where the lines of the log go: always to the first outlet, and from the moment on that reporting is open
 * also to Sentry and logz.io. Whatever goes anywhere has gone through `secrets` before.
 */

import type { DestinationStream } from 'pino';
import { Secrets } from './secrets.ts';

/** Takes one line, which ends with a line feed. It must neither throw nor wait. */
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
