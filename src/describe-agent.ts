/** Describes the ECS agent on this host for people, whoever runs the agent. */

import { type AgentTask, Introspection } from '../ecs-agent-bridge/agent/introspection.ts';
import { messageOf } from '../errors/service-error.ts';

/** @returns lines */
export async function describeAgent(introspection = new Introspection()): Promise<string[]> {
  try {
    const { cluster, containerInstance, version, tasks } = await introspection.describe();
    return [
      `ECS agent:          ${version}`,
      `cluster:            ${cluster}`,
      `container instance: ${containerInstance}`,
      ...tasks.flatMap(describeTask),
    ];
  } catch (error) {
    return [`${messageOf(error)}: none runs, or it has not registered.`];
  }
}

function describeTask({ arn, family, knownStatus, desiredStatus, containers }: AgentTask): string[] {
  const wanted = desiredStatus && desiredStatus !== knownStatus ? `, to be ${desiredStatus}` : '';
  return [
    `task ${arn}: ${family}, ${knownStatus}${wanted}`,
    ...containers.map(({ name, dockerId, ports }) => `  ${[name, dockerId, ...ports].join(' ')}`),
  ];
}
