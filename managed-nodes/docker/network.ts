/**
 * Creates the bridge network of an app. The network has the app's name. Its containers reach each other by name and
 * cannot reach containers in other networks. The rules that guard the host's metadata are in the chain `DOCKER-USER`,
 * which Docker consults for all of its networks.
 */

import { HOST_ID } from '../../container/labels.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Owner } from './labels.ts';

const LOOK = 10_000;
const WORK = 60_000;

/**
 * Creates the network if it does not exist. The network stays when the nodes are removed: it costs nothing, and other
 * containers may use it.
 * @throws {ServiceError} `node.bad_network`, `docker.*`
 */
export async function ensureNetwork(docker: Pick<Docker, 'call'>, { app, hostId }: Owner): Promise<void> {
  const filters = { name: [app] };
  const listed = await docker.call('list_networks', LOOK, (abortSignal, api) =>
    api.listNetworks({ filters, abortSignal }),
  );
  // Docker's filter also matches parts of names.
  const found = listed.find(({ Name }) => Name === app);
  if (found?.Driver === 'bridge') return;
  if (found) throw new ServiceError('node.bad_network', { app, driver: found.Driver });
  const Labels = { [HOST_ID]: hostId };
  // Without `CheckDuplicate`, Docker would create a second network of the same name and then start no container in
  // either.
  const network = { Name: app, Driver: 'bridge', CheckDuplicate: true, Labels };
  await docker.call('create_network', WORK, (abortSignal, api) =>
    api.createNetwork({ ...network, abortSignal }),
  );
}
