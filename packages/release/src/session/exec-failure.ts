/** Explains why ExecuteCommand was refused, and what to do. */

import type { Target } from './choose-target.ts';
import { SessionError } from './session-error.ts';

const RIGHTS = 'ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel';

/** Returns a SessionError for a known refusal, and any other error unchanged. */
export function explainExecFailure(error: unknown, { taskId, container, cluster }: Target): unknown {
  if (!(error instanceof Error)) return error;
  const where = `container ${container} of task ${taskId}`;
  const explain = (why: string) => new SessionError('setup', why, { cause: error });
  switch (error.name) {
    case 'TargetNotConnectedException':
      return explain(
        `the agent in ${where} is not connected to Systems Manager; check that the task role allows ${RIGHTS}, and that the task can ` +
          'reach ssmmessages on port 443 (through a NAT gateway or a VPC endpoint)',
      );
    case 'InvalidParameterException':
      return explain(
        `ECS does not run commands in ${where}: ${error.message}; check that enableExecuteCommand was set when the task was started`,
      );
    case 'AccessDeniedException':
      return explain(
        `you may not run commands in ${where}: ${error.message}; you need ecs:ExecuteCommand on the cluster and the task, and kms:GenerateDataKey if the ` +
          'cluster encrypts its sessions',
      );
    case 'ClusterNotFoundException':
      return explain(`this account has no cluster ${cluster} in this region; choose another one`);
    default:
      return error;
  }
}
