/** How Docker starts a hosted container: without the host's console, and in networks in which it may be. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { checkNetworks } from './creation/accepted-networks.ts';
import { startWithoutConsole } from './host-console.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * @param run has Docker start it
 * @throws {ServiceError} `create.not_allowed`, `confinement.*`, also when it runs; or what `run` throws
 */
export async function startConfined(
  host: Pick<Surroundings, 'docker' | 'allowed'>,
  dockerId: DockerId,
  run: (id: DockerId) => Promise<void>,
): Promise<void> {
  // Docker does not answer for a container while it starts it.
  const found = await host.docker.inspect(dockerId);
  await checkNetworks(found, host);
  await startWithoutConsole(host.docker, { id: dockerId, cgroupParent: found?.cgroupParent ?? '' }, run);
  await checkNetworks(await host.docker.inspect(dockerId), host);
}
