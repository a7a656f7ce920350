/** The AWS operations that a release needs, in this tool's own terms. `src/aws/` implements them. */

import { isDeepStrictEqual } from 'node:util';
import type { RegisterTaskDefinitionCommandInput } from '@aws-sdk/client-ecs';
import { ReleaseError } from '../errors.ts';
import type { LogEvent } from '../logs/log-follower.ts';
import type { Live } from './task-definition.ts';

export interface Deployment {
  readonly id: string;
  readonly status: string;
  readonly taskDefinition: string;
  /** undefined: ECS does not report it, for example behind a Classic Load Balancer. */
  readonly rolloutState: string | undefined;
  readonly reason: string;
  readonly desired: number;
  readonly running: number;
  readonly failed: number;
}

export interface Service {
  readonly name: string;
  readonly status: string;
  readonly taskDefinition: string;
  readonly desired: number;
  readonly running: number;
  readonly deployments: readonly Deployment[];
  /** Newest first. */
  readonly events: readonly { readonly id: string; readonly message: string }[];
  readonly network: Network | undefined;
  readonly capacity: readonly Capacity[];
  /** EC2, FARGATE or EXTERNAL; undefined if capacity providers decide. */
  readonly launchType?: string;
  readonly platformVersion?: string;
  readonly isBalanced?: true;
  /** The deployment controller: ECS, CODE_DEPLOY or EXTERNAL. */
  readonly controller: string;
}

export interface Network {
  readonly subnets: readonly string[];
  readonly securityGroups: readonly string[];
  readonly publicIp: boolean;
}

/** The place where a task runs. */
export interface Placement {
  readonly network?: Network;
  readonly capacity?: readonly Capacity[];
  readonly launchType?: string;
  readonly platformVersion?: string;
}

export interface ServiceChange {
  readonly service: string;
  readonly taskDefinition: string;
  readonly force?: boolean;
  readonly desired?: number;
  /** The capacity providers of the tasks. If the list is empty, the launch type decides. */
  readonly capacity?: readonly Capacity[];
}

export interface Capacity {
  readonly provider: string;
  readonly weight: number;
  readonly base: number;
}

export interface StoppedContainer {
  readonly name: string;
  readonly exitCode: number | undefined;
  readonly reason: string;
}

export interface Task {
  readonly arn: string;
  readonly taskDefinition: string;
  readonly lastStatus: string;
  readonly stopCode: string;
  readonly stoppedReason: string;
  readonly startedBy: string;
  /** Milliseconds since 1970; 0 when ECS reports no time. */
  readonly createdAt: number;
  readonly containers: readonly StoppedContainer[];
}

export interface TaskStart {
  readonly taskDefinition: string;
  readonly container: string;
  readonly command?: readonly string[];
  readonly placement?: Placement;
  readonly startedBy: string;
  /** ECS starts at most one task for a token. */
  readonly token: string;
}

/** Reads the logs of one task. */
export interface TaskLog {
  /** false: no container has a log that can be read. */
  readonly hasSources: boolean;
  /**
   * Returns the events since the last call. `isBehind`: more of them exist, because a stream is long or CloudWatch
   * throttles.
   */
  read(signal: AbortSignal): Promise<{ readonly events: readonly LogEvent[]; readonly isBehind: boolean }>;
}

/** A rule's target, or a schedule, that starts tasks. `whole` is AWS's own object, which an update sends back. */
export interface Trigger {
  readonly kind: 'rule' | 'schedule';
  /** The rule's name, or the schedule's group. */
  readonly place: string;
  readonly id: string;
  readonly taskDefinition: string;
  /** How many tasks it starts. A setting that the release does not touch is absent. */
  readonly count?: number;
  /** When it starts tasks, as EventBridge writes it: cron(…) or rate(…). */
  readonly schedule?: string;
  readonly whole: Readonly<Record<string, unknown>>;
  /** The rule itself, if it was read. */
  readonly rule?: Readonly<Record<string, unknown>>;
}

/** The kinds of automatic scaling that are suspended for a service. */
export interface Suspension {
  readonly in: boolean;
  readonly out: boolean;
  readonly scheduled: boolean;
}

export const SUSPENDED: Suspension = { in: true, out: true, scheduled: true };

export interface Cloud {
  /** @param name an ARN, or a family, which means its newest revision */
  taskDefinition(name: string): Promise<Live>;
  /** @returns the ARNs of a family's newest active revisions, newest first */
  newestRevisions(family: string): Promise<readonly string[]>;
  families(prefix: string): Promise<readonly string[]>;
  services(names: readonly string[]): Promise<readonly Service[]>;
  /** A service without automatic scaling has no entry. */
  scaling(services: readonly string[]): Promise<ReadonlyMap<string, Suspension>>;
  stoppedTasks(service: string): Promise<readonly Task[]>;
  tasksStartedBy(id: string): Promise<readonly Task[]>;
  tasks(arns: readonly string[]): Promise<readonly Task[]>;
  /** Returns the last lines that a container of a task wrote, or none if they cannot be read. */
  lastLines(task: Task, container: string): Promise<readonly string[]>;
  logOf(taskDefinition: string, task: string): Promise<TaskLog>;
  /** @param withRule true: read the rule itself too, which has the schedule */
  triggersOfRule(rule: string, withRule?: boolean): Promise<readonly Trigger[]>;
  triggersOfGroup(group: string): Promise<readonly Trigger[]>;

  register(input: RegisterTaskDefinitionCommandInput, signal: AbortSignal): Promise<string>;
  deregister(taskDefinition: string, signal: AbortSignal): Promise<void>;
  /** @returns the id of the service's newest deployment */
  updateService(change: ServiceChange, signal: AbortSignal): Promise<string>;
  /** @returns the ARN of the task */
  runTask(start: TaskStart, signal: AbortSignal): Promise<string>;
  stopTask(arn: string, reason: string, signal: AbortSignal): Promise<void>;
  /** Makes triggers start another revision. All of them must be in the same place. */
  moveTriggers(triggers: readonly Trigger[], signal: AbortSignal): Promise<void>;
  setScaling(service: string, suspended: Suspension, signal: AbortSignal): Promise<void>;
}

/** @throws ReleaseError usage that names the services that the cluster does not have */
export async function activeServices(
  cloud: Pick<Cloud, 'services'>,
  names: readonly string[],
): Promise<readonly Service[]> {
  const found = names.length > 0 ? await cloud.services(names) : [];
  const active = found.filter(({ status }) => status === 'ACTIVE');
  const missing = names.filter((name) => !active.some((one) => one.name === name));
  if (missing.length === 0) return active;
  throw new ReleaseError(
    'usage',
    `The cluster has no active service ${missing.join(', ')}. Correct the configuration, or create the service again.`,
  );
}

/** Returns where the tasks of a service run, so that another task can run there. */
export function placementOf({ network, capacity, launchType, platformVersion }: Service): Placement {
  return {
    ...(network && { network }),
    ...(capacity.length > 0 ? { capacity } : launchType !== undefined && { launchType }),
    ...(platformVersion !== undefined && { platformVersion }),
  };
}

/** Compares strategies. The order of the providers does not matter. */
export function isSameCapacity(a: readonly Capacity[] = [], b: readonly Capacity[] = []): boolean {
  const sorted = (all: readonly Capacity[]) =>
    all.toSorted((one, other) => one.provider.localeCompare(other.provider));
  return isDeepStrictEqual(sorted(a), sorted(b));
}

/** Returns the family in an ARN, with or without a revision. */
export function familyOf(taskDefinition: string): string {
  return taskDefinition.replace(/^.*task-definition\//, '').replace(/:\d+$/, '');
}

/** Returns family:revision, for messages. */
export function shortName(taskDefinition: string): string {
  return taskDefinition.replace(/^.*task-definition\//, '');
}
