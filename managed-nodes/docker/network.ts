/**
 * The bridge network of an app, by the name of the app. Its containers reach each other by their names, and nobody else's.
 * What guards the metadata of the host stands in Docker's own chain, which all of its networks go through.
 */

import { HOST_ID } from '../../container/labels.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import { ServiceError } from '../../errors/service-error.ts';
import type { Owner } from './labels.ts';

const LOOK = 10_000;
const WORK = 60_000;

/** Makes it unless it is there. It stays when the nodes go: it costs nothing, and others may use it. @throws {ServiceError} `node.bad_network`, `docker.*` */
export async function ensureNetwork(docker: Pick<Docker, 'call'>, { app, hostId }: Owner): Promise<void> {
  const filters = { name: [app] };
  const listed = await docker.call('list_networks', LOOK, (abortSignal, api) =>
    api.listNetworks({ filters, abortSignal }),
  );
  // Docker looks for a part of the name.
  const found = listed.find(({ Name }) => Name === app);
  if (found?.Driver === 'bridge') return;
  if (found) throw new ServiceError('node.bad_network', { app, driver: found.Driver });
  const Labels = { [HOST_ID]: hostId };
  // Docker would make a second one of the same name, and then start nothing in either.
  const network = { Name: app, Driver: 'bridge', CheckDuplicate: true, Labels };
  await docker.call('create_network', WORK, (abortSignal, api) =>
    api.createNetwork({ ...network, abortSignal }),
  );
}
