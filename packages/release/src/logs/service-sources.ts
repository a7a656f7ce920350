/**
 * Finds the log streams of the tasks of a service or a family: running tasks, and tasks that stopped within the last
 * hour.
 */

import {
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  type ECSClient,
  paginateListTasks,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import { inParts } from '../aws/task-reads.ts';
import { type LogSource, sourcesOf } from './log-sources.ts';

export interface LogScope {
  readonly cluster: string;
  readonly service?: string | undefined;
  readonly family?: string | undefined;
  /** ARNs or ids of tasks, which replace a service or a family. */
  readonly tasks?: readonly string[] | undefined;
  /** One container. Without it, all containers. */
  readonly container?: string | undefined;
}

const MOST_DESCRIBED = 100;

/** Returns the `sources` function for `followLogs`. Each task definition is read once, because it never changes. */
export function serviceSources(ecs: ECSClient, scope: LogScope) {
  const definitions = new Map<string, Promise<TaskDefinition>>();
  return async (signal: AbortSignal): Promise<LogSource[]> => {
    const arns = scope.tasks ?? (await listTasks(ecs, scope, signal));
    const sources: LogSource[] = [];
    for (const tasks of inParts(arns, MOST_DESCRIBED)) {
      const request = new DescribeTasksCommand({ cluster: scope.cluster, tasks });
      const answer = await ecs.send(request, { abortSignal: signal });
      for (const { taskArn = '', taskDefinitionArn = '' } of answer.tasks ?? []) {
        const definition =
          definitions.get(taskDefinitionArn) ?? readDefinition(ecs, taskDefinitionArn, signal);
        definitions.set(taskDefinitionArn, definition);
        sources.push(...sourcesOf(await definition, taskArn, scope.container));
      }
    }
    return sources;
  };
}

async function listTasks(ecs: ECSClient, { cluster, service, family }: LogScope, signal: AbortSignal) {
  const arns: string[] = [];
  for (const desiredStatus of ['RUNNING', 'STOPPED'] as const) {
    const query = {
      ...{ cluster, desiredStatus },
      ...(service !== undefined && { serviceName: service }),
      ...(family !== undefined && { family }),
    };
    for await (const { taskArns = [] } of paginateListTasks({ client: ecs }, query, { abortSignal: signal }))
      arns.push(...taskArns);
  }
  return arns;
}

async function readDefinition(ecs: ECSClient, taskDefinition: string, signal: AbortSignal) {
  const request = new DescribeTaskDefinitionCommand({ taskDefinition });
  const { taskDefinition: definition } = await ecs.send(request, { abortSignal: signal });
  return definition ?? {};
}
