/** The facts about a container that the planner knows, and about the spec that it compares with the container. */

import type { CheckHealth } from '../../docker-engine/answers.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { NodeSpec } from '../spec/node-spec.ts';

export interface WantedNode {
  readonly spec: NodeSpec;
  readonly hash: string;
  /** The hash without a key, which earlier versions of the service wrote into the labels. */
  readonly plainHash: string;
}

export interface HostPort {
  readonly port: number;
  readonly protocol: string;
  /** An IP address; the empty string means all addresses. */
  readonly address: string;
}

/**
 * An accepted container (`current`) has its node's name. A new container is a `candidate` and has a name of its own
 * until it is accepted. A `copy` is made of an accepted container that Docker can no longer start, and takes its place.
 */
export type Rank = 'current' | 'candidate' | 'copy';

export interface NodeContainer {
  readonly id: DockerId;
  readonly node: string;
  readonly rank: Rank;
  readonly hash: string;
  /** The digest of its image. */
  readonly digest: string;
  /** Docker's name of the state: `created`, `running`, `exited`, … */
  readonly state: string;
  readonly health?: CheckHealth | undefined;
  /** The fixed host ports that it holds while it runs. */
  readonly ports: readonly HostPort[];
  /** Times of the last start and exit, in milliseconds. Only candidates have `started`, `ended` and `exitCode`. */
  readonly started?: number;
  readonly ended?: number;
  readonly exitCode?: number;
  /** Whether Docker restarts it after an exit. Only candidates have this value. */
  readonly isKept?: boolean;
  /** The file that completes its hand-over, and whether it exists. Only candidates with the order hand-over have it. */
  readonly handOver?: HandOver | undefined;
}

export interface HandOver {
  readonly file: string;
  readonly isComplete: boolean;
}

/** A container that this service did not create for a node. */
export interface Stranger {
  readonly id: DockerId;
  readonly name: string;
  readonly ports: readonly HostPort[];
}

export function keyOf({ hash, digest }: Pick<NodeContainer, 'hash' | 'digest'>): string {
  return `${hash}@${digest}`;
}

/** No node can have this name, because it contains a dot. */
export function candidateName(node: string): string {
  return `${node}.next`;
}

export function copyName(node: string): string {
  return `${node}.copy`;
}

export function fixedPorts({ ports = [] }: NodeSpec): HostPort[] {
  return ports.flatMap(({ hostPort: port, hostAddress: address = '', protocol = 'tcp' }) =>
    port === undefined ? [] : [{ port, protocol, address }],
  );
}

export function isActive({ state }: Pick<NodeContainer, 'state'>): boolean {
  return state === 'running' || state === 'restarting' || state === 'paused';
}
