/** The interface to a source of wanted nodes. */

import type { LogConfig } from '../docker/create-body.ts';
import type { NodeSpec } from '../spec/node-spec.ts';

export interface WantedApp {
  /** The app's name, which is also the name of its nodes' network. */
  readonly app: string;
  readonly nodes: readonly NodeSpec[];
  /** Nodes that the feed names but the service cannot use. They keep their last usable spec. */
  readonly unusable?: readonly UnusableNode[];
}

export interface UnusableNode {
  /** The name in the feed, which may be any text. */
  readonly name: string;
  readonly why: string;
}

/**
 * Brings about the wanted state. Resolves when all nodes run or have failed for now.
 * @param restart nodes to restart, unless their spec has changed
 */
export type Want = (wanted: WantedApp, restart?: readonly string[]) => Promise<void>;

export interface Feed {
  /** A path or an address, for messages to operators. */
  readonly source: string;
  /**
   * Calls `want` at the start and after each change, until the signal aborts. Never rejects.
   * @param failed is called with the error when the feed cannot find out the wanted nodes
   */
  follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void>;
  /** Returns the log driver of a node. If it returns undefined or is left out, the node logs to this host. */
  logOf?(node: string): Promise<LogConfig | undefined>;
}
