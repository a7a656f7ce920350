/** Reads the last lines that a container wrote before it stopped, if its log driver is awslogs. */

import { GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import type { Task } from '../release/cloud.ts';
import type { Clients } from './clients.ts';
import { readTaskDefinition } from './task-reads.ts';

const LINES = 10;

export async function lastLines(clients: Clients, task: Task, container: string): Promise<readonly string[]> {
  const { definition } = await readTaskDefinition(await clients.ecs(), task.taskDefinition);
  const logs = definition.containerDefinitions?.find(({ name }) => name === container)?.logConfiguration;
  const { 'awslogs-group': group, 'awslogs-stream-prefix': prefix } = logs?.options ?? {};
  if (logs?.logDriver !== 'awslogs' || group === undefined || prefix === undefined) return [];
  const id = task.arn.replace(/^.*\//, '');
  const { events = [] } = await (await clients.logs()).send(
    new GetLogEventsCommand({
      logGroupName: group,
      logStreamName: `${prefix}/${container}/${id}`,
      limit: LINES,
    }),
  );
  return events.map(({ message = '' }) => message.trimEnd());
}
