/** Docker's data on a hosted container. */

import type Dockerode from 'dockerode';
import { keep } from './evidence.ts';

/** The host port of a container's port. */
export async function hostPortOf(docker: Dockerode, dockerId: string, port = '32262/tcp'): Promise<number> {
  const { NetworkSettings } = await inspect(docker, dockerId);
  return Number(NetworkSettings.Ports[port]?.[0]?.HostPort);
}

export async function containerIdOf(docker: Dockerode, dockerId: string): Promise<string> {
  const { Config } = await inspect(docker, dockerId);
  return Config.Labels['ecs-host-service.container-id'] as string;
}

async function inspect(docker: Dockerode, dockerId: string): Promise<Dockerode.ContainerInspectInfo> {
  const found = await docker.getContainer(dockerId).inspect();
  keep('docker', JSON.stringify(found));
  return found;
}
