/**
 * The networks in which a hosted container may be. Docker looks for them by name when it starts the container, and who
 * makes networks may have given the name to another one by then.
 */

import type { Inspected } from '../../docker-engine/answers.ts';
import { References } from '../../docker-engine/references.ts';
import type { Allowance } from '../../settings/hosted-allow.ts';
import type { Surroundings } from '../surroundings.ts';
import { refusal } from './accepted-fields.ts';

type Host = Pick<Surroundings, 'docker' | 'allowed'>;

/** Networks that lie on this host alone, or between Dockers. Others are those of the host, or give it away. */
const NETWORKS = ['bridge', 'overlay'];

/** @param ref its id, where that is known @throws {ServiceError} `create.not_allowed` */
export async function acceptNetwork(
  name: string,
  allowed: Allowance,
  references: References,
  ref = name,
): Promise<void> {
  if (['', 'default', 'bridge'].includes(name) || allowed.get('NetworkMode')?.has(name)) return;
  const driver = await references.networkDriver(ref);
  // Docker itself refuses one that it does not know.
  if (driver === undefined ? !['host', 'none'].includes(name) : NETWORKS.includes(driver)) return;
  throw refusal('the network', name, ['host', 'none'].includes(name) ? undefined : `NetworkMode=${name}`);
}

/**
 * Looks at the networks that a container is in, or the one whose network it shares. One in `none` is in no network.
 * @param found undefined: it has gone
 * @throws {ServiceError} `create.not_allowed`, `docker.*`
 */
export async function checkNetworks(found: Inspected | undefined, host: Host): Promise<void> {
  if (found?.sharedWith !== undefined)
    return await checkNetworks(await host.docker.inspect(found.sharedWith), host);
  const references = new References(host.docker);
  for (const { name, id } of found?.networks ?? [])
    if (name !== 'none') await acceptNetwork(name, host.allowed, references, id || name);
}
