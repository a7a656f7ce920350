/** Finds the log streams of a task's containers, as the awslogs driver names them. */

import type { TaskDefinition } from '@aws-sdk/client-ecs';

export interface LogSource {
  readonly group: string;
  readonly stream: string;
  readonly taskId: string;
  readonly container: string;
}

/**
 * Returns the streams of one container of a task, or of all. A container with another driver, or without a prefix, has
 * no stream.
 */
export function sourcesOf(
  definition: Pick<TaskDefinition, 'containerDefinitions'>,
  taskArn: string,
  container?: string,
): LogSource[] {
  const taskId = taskArn.split('/').at(-1) ?? '';
  return (definition.containerDefinitions ?? []).flatMap(({ name = '', logConfiguration }) => {
    const { 'awslogs-group': group, 'awslogs-stream-prefix': prefix } = logConfiguration?.options ?? {};
    const isOurs = container === undefined || container === name;
    if (!isOurs || logConfiguration?.logDriver !== 'awslogs' || !group || !prefix) return [];
    return [{ group, stream: `${prefix}/${name}/${taskId}`, taskId, container: name }];
  });
}
