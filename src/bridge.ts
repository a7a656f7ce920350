/** Starts what the ECS agent needs: Docker's API with hosted containers in it, and the agent itself. */

import { EcsAgent, type EcsAgentOptions } from '../ecs-agent-bridge/agent/ecs-agent.ts';
import { stopLeftAgent } from '../ecs-agent-bridge/agent/left-agent.ts';
import { serveDocker } from '../ecs-agent-bridge/docker-proxy/docker-proxy.ts';
import { HostedCalls } from '../ecs-agent-bridge/docker-proxy/hosted-calls.ts';
import { readHostId } from '../host/host-id.ts';
import type { Paths } from '../host/paths.ts';
import type { Gate } from '../httpserver/gate.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import type { Descriptors } from '../lifetime/descriptors.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';

export interface DockerApiOptions {
  readonly settings: Settings;
  readonly paths: Paths;
  readonly gate: Gate<Hosting>;
  readonly descriptors: Descriptors;
  readonly agent: () => EcsAgent | undefined;
  readonly log: Logger;
}

export async function serveDockerApi(
  lifetime: Lifetime,
  { tracker }: Hosted,
  { settings, paths, gate, descriptors, agent, log }: DockerApiOptions,
): Promise<void> {
  await serveDocker(lifetime, {
    path: paths.dockerProxy,
    engine: settings.DOCKER_HOST,
    calls: new HostedCalls({ tracker, pass: (work) => gate.pass(work) }),
    lost: async () => await agent()?.dockerLost(),
    descriptors,
    log,
  });
}

/** @returns undefined if this host needs no agent, or this is a `wait` process, which has no tasks for one */
export async function runAgent(
  root: Lifetime,
  as: 'service' | 'wait',
  given: Omit<EcsAgentOptions, 'hostId' | 'proxySocket'>,
): Promise<EcsAgent | undefined> {
  const { paths, left } = given;
  const options = { ...given, hostId: await readHostId(paths.state), proxySocket: paths.dockerProxy };
  if (as === 'service') return await EcsAgent.open(root, options);
  await stopLeftAgent(left, options);
  return undefined;
}
