/** What Docker knows of a hosted container. */

import type Dockerode from 'dockerode';

/** The host port of a container's port. */
export async function hostPortOf(docker: Dockerode, dockerId: string, port = '32262/tcp'): Promise<number> {
  const { NetworkSettings } = await docker.getContainer(dockerId).inspect();
  return Number(NetworkSettings.Ports[port]?.[0]?.HostPort);
}

export async function containerIdOf(docker: Dockerode, dockerId: string): Promise<string> {
  const { Config } = await docker.getContainer(dockerId).inspect();
  return Config.Labels['ecs-host-service.container-id'] as string;
}
