/** Where it comes from which nodes are wanted. */

import type { NodeSpec } from '../spec/node-spec.ts';

export interface WantedApp {
  /** Names the network of its nodes. */
  readonly app: string;
  readonly nodes: readonly NodeSpec[];
}

export interface Feed {
  /** For people: a path, an address. */
  readonly source: string;
  /**
   * Tells what is wanted, at first and whenever it changes, until the signal aborts. Never rejects.
   * @param failed is told why it is not known what is wanted
   */
  follow(
    want: (wanted: WantedApp) => void,
    failed: (error: unknown) => void,
    signal: AbortSignal,
  ): Promise<void>;
}
