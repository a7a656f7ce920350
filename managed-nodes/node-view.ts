/** A node as operators see it. */

import type { NodeState } from './plan/world.ts';

export interface RejectedView {
  readonly why: string;
  readonly exitCode?: number;
  readonly lastLines: readonly string[];
  /** ISO 8601. */
  readonly at: string;
}

export interface NodeView {
  readonly name: string;
  readonly type?: string;
  /** Left out: the feed does not want the node any more. */
  readonly image?: string;
  readonly state: NodeState;
  readonly cause: string;
  /** Since when it has been in this state; ISO 8601. */
  readonly since: string;
  /** Docker ids: of the container that has the node's name, and of one that is to replace it. */
  readonly container?: string;
  readonly candidate?: string;
  /** Of the container's image. */
  readonly digest?: string;
  readonly lastError?: string;
  /** Of what has failed; ISO 8601. */
  readonly nextAttempt?: string;
  /** The container that was tried last and rejected. */
  readonly rejected?: RejectedView;
}
