/** Starts a hosted container: denies it the host's console, and checks its networks. */

import type { Inspected } from '../docker-engine/answers.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { checkNetworks } from './creation/accepted-networks.ts';
import { startWithoutConsole } from './host-console.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * @param run makes Docker start it
 * @returns what Docker says about the running container
 * @throws {ServiceError} `create.not_allowed`, `confinement.*`, possibly while it already runs; or what `run` throws
 */
export async function startConfined(
  host: Pick<Surroundings, 'docker' | 'allowed' | 'cgroupDriver'>,
  dockerId: DockerId,
  run: (id: DockerId) => Promise<void>,
): Promise<Inspected | undefined> {
  // While Docker starts a container, it does not answer questions about it.
  const made = await host.docker.inspect(dockerId);
  await checkNetworks(made, host);
  await startWithoutConsole(host, { id: dockerId, cgroupParent: made?.cgroupParent ?? '' }, run);
  const started = await host.docker.inspect(dockerId);
  await checkNetworks(started, host);
  return started;
}
