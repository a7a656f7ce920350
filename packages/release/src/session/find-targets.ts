/** Lists the running containers of a cluster, a service or a family, with everything that ECS Exec needs. */

import { DescribeTasksCommand, type ECSClient, paginateListTasks, type Task } from '@aws-sdk/client-ecs';
import type { Target } from './choose-target.ts';

/** Where to look: a service, a family, or neither for the whole cluster. */
export interface TaskScope {
  readonly cluster: string;
  readonly service?: string | undefined;
  readonly family?: string | undefined;
}

const MOST_DESCRIBED = 100;

export async function findTargets(ecs: ECSClient, scope: TaskScope, signal: AbortSignal): Promise<Target[]> {
  const { cluster, service, family } = scope;
  const arns: string[] = [];
  const query = {
    cluster,
    desiredStatus: 'RUNNING' as const,
    ...(service !== undefined && { serviceName: service }),
    ...(family !== undefined && { family }),
  };
  for await (const { taskArns = [] } of paginateListTasks({ client: ecs }, query, { abortSignal: signal }))
    arns.push(...taskArns);
  const tasks: Task[] = [];
  for (let i = 0; i < arns.length; i += MOST_DESCRIBED) {
    const request = new DescribeTasksCommand({ cluster, tasks: arns.slice(i, i + MOST_DESCRIBED) });
    tasks.push(...((await ecs.send(request, { abortSignal: signal })).tasks ?? []));
  }
  return tasks
    .filter(({ lastStatus }) => lastStatus === 'RUNNING')
    .sort((a, b) => (a.startedAt?.getTime() ?? 0) - (b.startedAt?.getTime() ?? 0))
    .flatMap((task) => targetsOf(cluster, task));
}

function targetsOf(cluster: string, task: Task): Target[] {
  const { taskArn = '', taskDefinitionArn = '', containers = [] } = task;
  return containers
    .filter(({ lastStatus }) => lastStatus === undefined || lastStatus === 'RUNNING')
    .map(({ name = '', runtimeId, managedAgents }) => {
      const agent = managedAgents?.find((one) => one.name === 'ExecuteCommandAgent');
      return {
        cluster,
        taskArn,
        taskId: taskArn.split('/').at(-1) ?? '',
        definition: taskDefinitionArn.split('/').at(-1) ?? '',
        startedAt: task.startedAt,
        container: name,
        runtimeId,
        isExecEnabled: task.enableExecuteCommand ?? false,
        agent: agent && { status: agent.lastStatus ?? 'UNKNOWN', reason: agent.reason },
      };
    });
}
