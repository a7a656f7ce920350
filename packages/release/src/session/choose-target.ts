/** Chooses the container for a session among the running ones. Pure. */

import { SessionError } from './session-error.ts';

/** A container of a running task. */
export interface Target {
  readonly cluster: string;
  readonly taskArn: string;
  readonly taskId: string;
  /** Family and revision, `app:7`. */
  readonly definition: string;
  readonly startedAt: Date | undefined;
  readonly container: string;
  readonly runtimeId: string | undefined;
  readonly isExecEnabled: boolean;
  /** undefined: the container has no ExecuteCommandAgent. */
  readonly agent: { readonly status: string; readonly reason: string | undefined } | undefined;
}

export interface Wish {
  /** A task's id or ARN, or the beginning of its id (at least four characters). */
  readonly task?: string | undefined;
  readonly container?: string | undefined;
}

export type Choice =
  | { readonly kind: 'one'; readonly target: Target }
  | { readonly kind: 'several'; readonly targets: readonly Target[] };

/** @throws SessionError when no container matches */
export function chooseTarget(targets: readonly Target[], { task, container }: Wish): Choice {
  if (targets.length === 0)
    throw new SessionError(
      'target',
      'no task is running; run "ecs-release status" to see the state of the service',
    );
  const ofTask = targets.filter((one) => task === undefined || fits(one, task));
  if (ofTask.length === 0)
    throw new SessionError(
      'target',
      `no running task has the id ${task}; these are running:\n${listTargets(targets)}`,
    );
  const ofContainer = ofTask.filter((one) => container === undefined || one.container === container);
  if (ofContainer.length === 0)
    throw new SessionError(
      'target',
      `no running task has a container ${container}; these are running:\n${listTargets(ofTask)}`,
    );
  const [target] = ofContainer;
  return target && ofContainer.length === 1
    ? { kind: 'one', target }
    : { kind: 'several', targets: ofContainer };
}

/** The error when several containers match and there is no terminal to ask on. */
export function ambiguityError(targets: readonly Target[]): SessionError {
  return new SessionError(
    'target',
    `several containers match, and there is no terminal to ask on; choose one with --task and --container:\n${listTargets(targets)}`,
  );
}

/** Formats one numbered line for each target, in the given order. */
export function listTargets(targets: readonly Target[]): string {
  const width = Math.max(...targets.map(({ container }) => container.length));
  return targets
    .map(
      ({ taskId, container, definition, startedAt }, i) =>
        `  ${i + 1}  ${taskId}  ${container.padEnd(width)}  ${definition}${startedAt ? `  started ${startedAt.toISOString()}` : ''}`,
    )
    .join('\n');
}

function fits({ taskId, taskArn }: Target, task: string): boolean {
  return taskArn === task || (task.length >= 4 && taskId.startsWith(task));
}

/** Returns why ECS Exec cannot run in the container, and what to do. undefined: the container is ready. */
export function execProblem({ taskId, container, isExecEnabled, agent }: Target): string | undefined {
  if (!isExecEnabled)
    return (
      `task ${taskId} was started without ECS Exec; set enableExecuteCommand on the service ` +
      '(aws ecs update-service --enable-execute-command --force-new-deployment) and use a task that was started afterwards'
    );
  if (!agent)
    return `container ${container} of task ${taskId} has no ExecuteCommandAgent; tasks get it on Fargate with platform version 1.4.0 or newer, and on EC2 with agent 1.50.2 or newer`;
  switch (agent.status) {
    case 'RUNNING':
      return undefined;
    case 'PENDING':
      return `the ExecuteCommandAgent in container ${container} of task ${taskId} is still starting; try again in a few seconds`;
    default:
      return (
        `the ExecuteCommandAgent in container ${container} of task ${taskId} is ${agent.status}` +
        `${agent.reason ? ` (${agent.reason})` : ''}; check that the task role allows ssmmessages:CreateControlChannel, ` +
        'CreateDataChannel, OpenControlChannel and OpenDataChannel, that the task can reach ssmmessages on port 443 ' +
        '(through a NAT gateway or a VPC endpoint), and that the root filesystem is not read-only'
      );
  }
}
