/** Builds the name by which Systems Manager knows a container of ECS. */

import type { Target } from './choose-target.ts';
import { SessionError } from './session-error.ts';

/** @throws SessionError when the container has no runtime id yet */
export function sessionTarget({ cluster, taskId, runtimeId, container }: Target): string {
  if (!runtimeId)
    throw new SessionError(
      'setup',
      `container ${container} of task ${taskId} has no runtime id yet; try again`,
    );
  return `ecs:${cluster.split('/').at(-1)}_${taskId}_${runtimeId}`;
}
