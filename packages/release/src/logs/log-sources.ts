/** Where the containers of a task write their logs: the streams that the awslogs driver makes. */

import type { TaskDefinition } from '@aws-sdk/client-ecs';

export interface LogSource {
  readonly group: string;
  readonly stream: string;
  readonly taskId: string;
  readonly container: string;
}

/** The streams of one task; of one container, or of all. Containers with another driver, or without a prefix, have none. */
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
