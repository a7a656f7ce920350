/** ECS Exec with a simulated service: a running task, and the call under test. */

import { type ExecOptions, execInTask } from '../../src/session/exec.ts';
import { SessionService } from './session-service.ts';

const never = new AbortController().signal;

export function task(id: string, containers: readonly object[] = [container('app')]): object {
  return {
    taskArn: `arn:aws:ecs:us-east-1:1:task/c/${id}`,
    taskDefinitionArn: 'arn:aws:ecs:us-east-1:1:task-definition/app:7',
    lastStatus: 'RUNNING',
    enableExecuteCommand: true,
    containers,
  };
}

export function container(name: string): object {
  const managedAgents = [{ name: 'ExecuteCommandAgent', lastStatus: 'RUNNING' }];
  return { name, lastStatus: 'RUNNING', runtimeId: `${name}-1`, managedAgents };
}

export async function service(): Promise<SessionService> {
  const started = await SessionService.start();
  started.tasks = [task('1111aaaa')];
  return started;
}

export function exec(
  { ecs, ssm }: SessionService,
  words: readonly string[],
  streams: ExecOptions['streams'],
  more: Partial<ExecOptions> = {},
): Promise<number> {
  const scope = { cluster: 'c' };
  const defaults = { clients: { ecs, ssm }, scope, wish: {}, isInteractive: true, signal: never };
  return execInTask({ ...defaults, words, streams, ...more });
}
