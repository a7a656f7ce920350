/** Where it comes from which nodes are wanted. */

import type { LogConfig } from '../docker/create-body.ts';
import type { NodeSpec } from '../spec/node-spec.ts';

export interface WantedApp {
  /** Names the network of its nodes. */
  readonly app: string;
  readonly nodes: readonly NodeSpec[];
}

/**
 * Resolves when the effect is there: all nodes run, or have failed to, for the time being.
 * @param restart nodes that are restarted, unless their spec is another one by now
 */
export type Want = (wanted: WantedApp, restart?: readonly string[]) => Promise<void>;

export interface Feed {
  /** For people: a path, an address. */
  readonly source: string;
  /**
   * Tells what is wanted, at first and whenever it changes, until the signal aborts. Never rejects.
   * @param failed is told why it is not known what is wanted
   */
  follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void>;
  /** Where the output of a node goes; undefined, or left out: to this host. */
  logOf?(node: string): Promise<LogConfig | undefined>;
}
