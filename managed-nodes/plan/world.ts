/** All that a plan is made from, and the steps that it consists of: plain data. */

import type { CheckHealth } from '../../docker-engine/answers.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { NodeSpec } from '../spec/node-spec.ts';

export interface WantedNode {
  readonly spec: NodeSpec;
  readonly hash: string;
}

/** A fixed port of the host. */
export interface HostPort {
  readonly port: number;
  readonly protocol: string;
  /** An IP address; '': all of them. */
  readonly address: string;
}

/** A container has its node's name once it was accepted. Until then it is a candidate, by a name of its own. */
export type Rank = 'current' | 'candidate';

export interface NodeContainer {
  readonly id: DockerId;
  readonly node: string;
  readonly rank: Rank;
  readonly hash: string;
  /** Of its image. */
  readonly digest: string;
  /** As Docker lists it: `created`, `running`, `exited`, … */
  readonly state: string;
  readonly health?: CheckHealth | undefined;
  /** Those that it holds while it runs. */
  readonly ports: readonly HostPort[];
  /** When it was started and when it ended, in milliseconds; known of candidates alone. */
  readonly started?: number;
  readonly ended?: number;
  readonly exitCode?: number;
  /** Whether Docker starts it again when it exits; known of candidates alone. */
  readonly isKept?: boolean;
}

/** A container that is not ours. */
export interface Stranger {
  readonly id: DockerId;
  readonly name: string;
  readonly ports: readonly HostPort[];
}

export interface Actual {
  readonly containers: readonly NodeContainer[];
  readonly strangers: readonly Stranger[];
}

/** What has failed with a container of this spec and image. */
export interface Rejected {
  /** Of the spec and the image. */
  readonly key: string;
  readonly why: string;
  readonly exitCode?: number;
  readonly lastLines: readonly string[];
  readonly at: number;
}

/** The step that failed last, and has not succeeded since. */
export interface FailedStep {
  readonly step: Step['do'];
  /** That it concerned; undefined: it was to pull or create. */
  readonly container?: DockerId | undefined;
  readonly why: string;
  readonly times: number;
  /** Before it the step is not repeated; milliseconds. */
  readonly next: number;
}

/** A container that Docker itself refuses to start. */
export interface Refused {
  readonly container: DockerId;
  readonly why: string;
  readonly times: number;
}

/** What is known of a node beside what Docker says. When it is lost, the node only takes longer. */
export interface NodeMemory {
  readonly rejected?: Rejected | undefined;
  readonly failed?: FailedStep | undefined;
  readonly refused?: Refused | undefined;
  /** Whether its container is to be restarted. */
  readonly isToRestart?: boolean | undefined;
}

export interface World {
  readonly wanted: ReadonlyMap<string, WantedNode>;
  readonly actual: Actual;
  readonly memory: ReadonlyMap<string, NodeMemory>;
  /** The digest that each image name stands for, as far as it was asked for. */
  readonly digests: ReadonlyMap<string, string>;
  /** Images that are on this host, each `NAME DIGEST`. */
  readonly pulled: ReadonlySet<string>;
  /** Whether updates are deferred. */
  readonly isLocked: boolean;
  /** Milliseconds. */
  readonly now: number;
  /** Since when each exit of a container has been heard: an earlier one may be the fault of Docker's own end. */
  readonly heardSince: number;
}

export interface ContainerStep {
  readonly do: 'start' | 'stop' | 'restart' | 'keep' | 'remove' | 'promote';
  readonly node: string;
  readonly container: DockerId;
}

export type Step =
  | { readonly do: 'pull'; readonly node: string; readonly image: string }
  | { readonly do: 'create'; readonly node: string; readonly hash: string; readonly digest: string }
  | ContainerStep
  | { readonly do: 'reject'; readonly node: string; readonly container: DockerId; readonly why: string };

/** Whether it is the same step that has failed before. */
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

/** What is next for a node. */
export interface Decision {
  readonly state: NodeState;
  readonly cause: string;
  /** Left out: there is nothing to do, or not yet. */
  readonly step?: Step;
  /** When to decide again, in milliseconds; left out: when something changes. */
  readonly until?: number;
}

export function keyOf({ hash, digest }: Pick<NodeContainer, 'hash' | 'digest'>): string {
  return `${hash}@${digest}`;
}

/** A name that no node can have. */
export function candidateName(node: string): string {
  return `${node}.next`;
}

export function isActive({ state }: Pick<NodeContainer, 'state'>): boolean {
  return state === 'running' || state === 'restarting' || state === 'paused';
}
