/** The view of a node that the API and the command line show to operators. */

import type { Known } from './known-nodes.ts';
import { ownOf } from './plan/fitting.ts';
import type { NodeState, Rejected } from './plan/world.ts';
import type { Reconciler } from './reconciler.ts';

export interface RejectedView {
  readonly why: string;
  readonly exitCode?: number;
  readonly lastLines: readonly string[];
  /** The time of the rejection in ISO 8601. */
  readonly at: string;
}

export interface NodeView {
  readonly name: string;
  readonly type?: string;
  /** Left out if the feed no longer wants the node. */
  readonly image?: string;
  readonly state: NodeState;
  readonly cause: string;
  /** When the node entered this state, in ISO 8601. */
  readonly since: string;
  /**
   * The Docker ids of the container that has the node's name and of its candidate, the container that is to replace it.
   */
  readonly container?: string;
  readonly candidate?: string;
  /** The digest of the container's image. */
  readonly digest?: string;
  readonly lastError?: string;
  /** When the failed step is repeated, in ISO 8601. */
  readonly nextAttempt?: string;
  /** The last container that was rejected. */
  readonly rejected?: RejectedView;
}

/** @param name a node that the reconciler knows */
export function viewOf({ world, known }: Pick<Reconciler, 'world' | 'known'>, name: string): NodeView {
  const { decision, since } = known.get(name) as Known;
  const spec = world.wanted.get(name)?.spec;
  const { failed, rejected } = world.memory.get(name) ?? {};
  const [current, candidate] = [ownOf(world, name, 'current'), ownOf(world, name, 'candidate')];
  return {
    name,
    ...(spec?.type !== undefined && { type: spec.type }),
    ...(spec && { image: spec.image }),
    state: decision.state,
    cause: decision.cause,
    since: new Date(since).toISOString(),
    ...(current && { container: current.id, digest: current.digest }),
    ...(candidate && { candidate: candidate.id }),
    ...(failed && { lastError: failed.why }),
    ...(failed && decision.state === 'backoff' && { nextAttempt: new Date(failed.next).toISOString() }),
    ...(rejected && { rejected: rejectedOf(rejected) }),
  };
}

function rejectedOf({ why, exitCode, lastLines, at }: Rejected): RejectedView {
  const code = exitCode === undefined ? {} : { exitCode };
  return { why, ...code, lastLines, at: new Date(at).toISOString() };
}
