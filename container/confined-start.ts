/** Starts a hosted container: denies it the host's console, and checks its networks. */

import type { DockerId } from '../docker-engine/docker-id.ts';
import { checkNetworks } from './creation/accepted-networks.ts';
import { startWithoutConsole } from './host-console.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * @param run makes Docker start it
 * @throws {ServiceError} `create.not_allowed`, `confinement.*`, possibly while it already runs; or what `run` throws
 */
export async function startConfined(
  host: Pick<Surroundings, 'docker' | 'allowed'>,
  dockerId: DockerId,
  run: (id: DockerId) => Promise<void>,
): Promise<void> {
  // While Docker starts a container, it does not answer questions about it.
  const found = await host.docker.inspect(dockerId);
  await checkNetworks(found, host);
  await startWithoutConsole(host.docker, { id: dockerId, cgroupParent: found?.cgroupParent ?? '' }, run);
  await checkNetworks(await host.docker.inspect(dockerId), host);
}
