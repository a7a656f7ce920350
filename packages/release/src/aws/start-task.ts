/** Starts a one-off task with RunTask, and explains why ECS did not start it. */

import { type ECSClient, type Failure, RunTaskCommand, type RunTaskCommandInput } from '@aws-sdk/client-ecs';
import { ReleaseError } from '../errors.ts';
import type { Capacity, Placement, TaskStart } from '../release/cloud.ts';

/**
 * @returns the ARN of the task
 * @throws ReleaseError failed, with each reason that ECS gave
 */
export async function startTask(
  ecs: ECSClient,
  cluster: string,
  { taskDefinition, container, command, placement = {}, startedBy, token }: TaskStart,
  abortSignal: AbortSignal,
): Promise<string> {
  const request = new RunTaskCommand({
    ...placed(placement),
    ...{ cluster, taskDefinition, startedBy, clientToken: token, count: 1 },
    ...(command && { overrides: { containerOverrides: [{ name: container, command: [...command] }] } }),
  });
  const { tasks: [task] = [], failures = [] } = await ecs.send(request, { abortSignal });
  if (task?.taskArn !== undefined) return task.taskArn;
  const why = failures.map(explain).join('; ') || 'ECS gave no reason';
  throw new ReleaseError('failed', `the task of ${taskDefinition} did not start: ${why}`);
}

export function strategyOf(capacity: readonly Capacity[]) {
  return capacity.map(({ provider, weight, base }) => ({ capacityProvider: provider, weight, base }));
}

function placed({ network, capacity, launchType, platformVersion }: Placement): Partial<RunTaskCommandInput> {
  return {
    ...(network && {
      networkConfiguration: {
        awsvpcConfiguration: {
          subnets: [...network.subnets],
          securityGroups: [...network.securityGroups],
          assignPublicIp: network.publicIp ? 'ENABLED' : 'DISABLED',
        },
      },
    }),
    ...(capacity && { capacityProviderStrategy: strategyOf(capacity) }),
    ...(launchType !== undefined && { launchType: launchType as 'EC2' | 'FARGATE' | 'EXTERNAL' }),
    ...(platformVersion !== undefined && { platformVersion }),
  };
}

function explain({ arn, reason = 'unknown', detail }: Failure): string {
  const what = [reason, detail, arn].filter(Boolean).join(', ');
  if (/^RESOURCE:/.test(reason))
    return `${what} (no container instance has enough free ${reason.slice(9).toLowerCase()}; add capacity or lower the task's size)`;
  if (reason === 'AGENT') return `${what} (the agent of a container instance is not connected)`;
  if (/^ATTRIBUTE|^MISSING/.test(reason))
    return `${what} (no container instance meets the task's requirements)`;
  return /capacity/i.test(reason) ? `${what} (try again later, use other subnets, or do not use Spot)` : what;
}
