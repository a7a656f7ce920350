/** The plain data that a plan is computed from, and the steps of a plan. */

import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { Actual } from './actual.ts';
import type { Wanted } from './wanted.ts';

/** Records why a container with a certain spec and image was rejected. */
export interface Rejected {
  /** Identifies the spec and the image; see `keyOf`. */
  readonly key: string;
  readonly why: string;
  readonly exitCode?: number;
  readonly lastLines: readonly string[];
  readonly at: number;
}

/** The last step that failed and has not succeeded since. */
export interface FailedStep {
  readonly step: Step['do'];
  /** The container of the step; undefined for a pull or a create. */
  readonly container?: DockerId | undefined;
  readonly why: string;
  readonly times: number;
  /** The earliest time of the next attempt, in milliseconds. */
  readonly next: number;
}

/** A container that Docker itself refuses to start. */
export interface Refused {
  readonly container: DockerId;
  readonly why: string;
  readonly times: number;
  /** Whether it cannot be copied, because its image is no longer on this host. */
  readonly hasNoImage?: boolean;
}

/**
 * Facts about a node that Docker does not store. If they are lost, the node only takes longer to reach its wanted
 * state.
 */
export interface NodeMemory {
  readonly rejected?: Rejected | undefined;
  readonly failed?: FailedStep | undefined;
  readonly refused?: Refused | undefined;
  /** Whether its container must be restarted. */
  readonly isToRestart?: boolean | undefined;
}

export interface World {
  readonly wanted: Wanted;
  /** Changes with each step that is carried out. */
  readonly actual: Actual;
  /** Changes with each step that is carried out. */
  readonly memory: Map<string, NodeMemory>;
  /** The digest of each image name. A name that the service has not resolved yet is missing. */
  readonly digests: Map<string, string>;
  /** Images that are on this host, as `NAME DIGEST`. */
  readonly pulled: Set<string>;
  /** Whether a lock defers updates. */
  readonly isLocked: boolean;
  /** When the window for updates opens next, in milliseconds. It is undefined while updates may run. */
  readonly opensAt: number | undefined;
  /** The current time in milliseconds. */
  readonly now: number;
  /**
   * The service has received every exit of a container since this time, in milliseconds. An earlier exit may have been
   * caused by Docker's own shutdown.
   */
  readonly heardSince: number;
}

export interface ContainerStep {
  readonly do: 'start' | 'stop' | 'restart' | 'keep' | 'copy' | 'remove' | 'promote';
  readonly node: string;
  readonly container: DockerId;
}

export type Step =
  | { readonly do: 'pull'; readonly node: string; readonly image: string }
  | { readonly do: 'create'; readonly node: string; readonly hash: string; readonly digest: string }
  | ContainerStep
  | { readonly do: 'reject'; readonly node: string; readonly container: DockerId; readonly why: string };

/** Whether `failed` records a failure of this step. */
export function hasFailed(step: Step, failed: FailedStep | undefined): boolean {
  return failed?.step === step.do && failed.container === containerIn(step);
}

export function containerIn(step: Step): DockerId | undefined {
  return 'container' in step ? step.container : undefined;
}

export const NODE_STATES = [
  'pending',
  'starting',
  'checking',
  'running',
  'unhealthy',
  'restarting',
  'paused',
  'stopping',
  'stopped',
  'removing',
  'reverted',
  'failed',
  'blocked',
  'backoff',
] as const;
export type NodeState = (typeof NODE_STATES)[number];

/** The state of a node, and its next step. */
export interface Decision {
  readonly state: NodeState;
  readonly cause: string;
  /** Left out if there is nothing to do now. */
  readonly step?: Step;
  /** When to decide again, in milliseconds. If left out, only a change of the state can lead to another decision. */
  readonly until?: number;
}
