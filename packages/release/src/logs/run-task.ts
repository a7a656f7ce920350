/** Runs a one-off task: starts it, passes its logs on as they arrive, and returns the exit code of one container. */

import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import {
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  type ECSClient,
  type Failure,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import type { Clock } from '../clock.ts';
import { messageOf, ReleaseError } from '../errors.ts';
import { nextBackoff } from './follow-logs.ts';
import { type LogEvent, LogFollower } from './log-follower.ts';
import { sourcesOf } from './log-sources.ts';

/** Where a task runs: the fields that RunTask takes from a service. */
export type Placement = Pick<
  RunTaskCommandInput,
  'networkConfiguration' | 'capacityProviderStrategy' | 'launchType' | 'platformVersion'
>;

export interface RunTaskOptions {
  readonly ecs: ECSClient;
  readonly logs: CloudWatchLogsClient;
  readonly clock: Clock;
  readonly cluster: string;
  /** An ARN, family:revision, or a family, which means its newest revision. */
  readonly taskDefinition: string;
  readonly placement: Placement;
  /** The container whose command is replaced and whose exit code counts. The default is the first essential one. */
  readonly container?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly startedBy?: string;
  /** ECS starts at most one task for a token. */
  readonly token?: string;
  started?(taskArn: string): void;
  /** Called for each line of each container's log. */
  log?(event: LogEvent): void;
  /** Called once when the logs cannot be read. The task continues. */
  unreadable?(error: unknown): void;
  /** Stops the task when it aborts. */
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly taskArn: string;
  readonly container: string;
  readonly exitCode: number;
  readonly stoppedReason: string;
}

const POLL = 2_000;
/**
 * Milliseconds of silence after which the log of a stopped task counts as complete. Its last lines arrive late.
 * MOST_LINGER limits the whole wait.
 */
const LINGER = 6_000;
const MOST_LINGER = 60_000;
/** Milliseconds for which ECS may not know a task that was just started. */
const MOST_UNSEEN = 60_000;

/**
 * Reads where the tasks of a service run.
 * @throws ReleaseError when there is no such service
 */
export async function placementOf(
  ecs: ECSClient,
  cluster: string,
  service: string,
  signal: AbortSignal,
): Promise<Placement> {
  const request = new DescribeServicesCommand({ cluster, services: [service] });
  const [found] = (await ecs.send(request, { abortSignal: signal })).services ?? [];
  if (found?.status !== 'ACTIVE')
    throw new ReleaseError(
      'failed',
      `the cluster ${cluster} has no service ${service}, whose network the task would use`,
    );
  const { networkConfiguration, capacityProviderStrategy = [], launchType, platformVersion } = found;
  return {
    ...(networkConfiguration && { networkConfiguration }),
    ...(capacityProviderStrategy.length > 0 ? { capacityProviderStrategy } : launchType && { launchType }),
    ...(platformVersion && { platformVersion }),
  };
}

/**
 * @throws ReleaseError when the task cannot start or ends without an exit code
 * @throws the signal's reason, after the task was stopped
 */
export async function runTask(options: RunTaskOptions): Promise<RunResult> {
  const { ecs, cluster, taskDefinition, signal } = options;
  const request = new DescribeTaskDefinitionCommand({ taskDefinition });
  const { taskDefinition: definition } = await ecs.send(request, { abortSignal: signal });
  if (!definition) throw new ReleaseError('failed', `there is no task definition ${taskDefinition}`);
  const container = containerOf(definition, options.container);
  const taskArn = await start(options, container);
  options.started?.(taskArn);
  try {
    return resultOf(await watch(options, definition, taskArn), taskArn, container);
  } catch (error) {
    if (signal.aborted) {
      const stop = new StopTaskCommand({ cluster, task: taskArn, reason: 'ecs-release was interrupted' });
      await ecs.send(stop).catch(() => {});
      throw signal.reason;
    }
    if (error instanceof ReleaseError) throw error;
    throw new ReleaseError(
      'failed',
      `the task ${taskArn} was started and may still run, but it cannot be watched: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function containerOf({ containerDefinitions = [] }: TaskDefinition, wanted: string | undefined): string {
  const names = containerDefinitions.map(({ name = '' }) => name);
  if (wanted !== undefined && !names.includes(wanted))
    throw new ReleaseError('usage', `the task has no container ${wanted}; it has ${names.join(', ')}`);
  return wanted ?? containerDefinitions.find(({ essential = true }) => essential)?.name ?? '';
}

async function start(options: RunTaskOptions, container: string): Promise<string> {
  const { ecs, cluster, taskDefinition, placement, command, environment, startedBy, token, signal } = options;
  const override = {
    name: container,
    ...(command && { command: [...command] }),
    ...(environment && {
      environment: Object.entries(environment).map(([name, value]) => ({ name, value })),
    }),
  };
  const request = new RunTaskCommand({
    ...placement,
    ...{ cluster, taskDefinition, count: 1 },
    ...((command || environment) && { overrides: { containerOverrides: [override] } }),
    ...(startedBy !== undefined && { startedBy }),
    ...(token !== undefined && { clientToken: token }),
  });
  const { tasks: [task] = [], failures = [] } = await ecs.send(request, { abortSignal: signal });
  if (task?.taskArn) return task.taskArn;
  throw new ReleaseError(
    'failed',
    `the task of ${taskDefinition} did not start: ${failures.map(explain).join('; ') || 'ECS gave no reason'}`,
  );
}

function explain({ arn, reason = 'unknown', detail }: Failure): string {
  const what = [reason, detail, arn].filter(Boolean).join(', ');
  if (/^RESOURCE:/.test(reason))
    return `${what} (no container instance has enough free ${reason.slice(9).toLowerCase()}; add capacity or lower the task's size)`;
  if (reason === 'AGENT') return `${what} (the agent of a container instance is not connected)`;
  if (/^ATTRIBUTE|^MISSING/.test(reason)) return `${what} (no container instance has what the task needs)`;
  return /capacity/i.test(reason) ? `${what} (try again later, in other subnets, or without Spot)` : what;
}

/** Waits until the task has stopped and its logs are read. */
async function watch(options: RunTaskOptions, definition: TaskDefinition, taskArn: string): Promise<Task> {
  const { ecs, logs, clock, cluster, signal } = options;
  const follower = new LogFollower(logs);
  let sources = options.log ? sourcesOf(definition, taskArn) : [];
  let backoff = 0;
  let stoppedAt: number | undefined;
  let heardAt = 0;
  let seenAt = clock.now();
  for (;;) {
    const request = new DescribeTasksCommand({ cluster, tasks: [taskArn] });
    const [task] = (await ecs.send(request, { abortSignal: signal })).tasks ?? [];
    if (task) seenAt = clock.now();
    else if (clock.now() - seenAt > MOST_UNSEEN)
      throw new ReleaseError(
        'failed',
        `ECS does not know the task ${taskArn} any more, so how it ended is not known`,
      );
    if (task?.lastStatus === 'STOPPED') stoppedAt ??= clock.now();
    const events = await follower.round(sources, signal).catch((error: unknown) => {
      if (signal.aborted) throw error;
      // The task does not depend on its logs.
      options.unreadable?.(error);
      sources = [];
      return [];
    });
    for (const event of events) options.log?.(event);
    if (task && stoppedAt !== undefined) {
      const now = clock.now();
      if (events.length > 0) heardAt = now;
      const isSilent = now - Math.max(heardAt, stoppedAt) >= LINGER;
      if (sources.length === 0 || isSilent || now - stoppedAt >= MOST_LINGER) return task;
    }
    backoff = follower.isThrottled ? nextBackoff(backoff) : 0;
    if (!follower.hasMore) await clock.sleep(backoff || POLL, signal);
  }
}

function resultOf(task: Task, taskArn: string, name: string): RunResult {
  const { stoppedReason = '', stopCode = '', containers = [] } = task;
  const container = containers.find((one) => one.name === name);
  if (container?.exitCode !== undefined)
    return { taskArn, container: name, exitCode: container.exitCode, stoppedReason };
  const why = [container?.reason, stoppedReason || stopCode].filter(Boolean).join('; ');
  throw new ReleaseError(
    'failed',
    `the container ${name} of the task ended without an exit code: ${why || 'ECS gave no reason'}`,
  );
}
