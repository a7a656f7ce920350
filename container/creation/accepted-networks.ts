/**
 * The rules for the networks of a hosted container. Docker looks networks up by name when it starts the container, and
 * the name may belong to another network by then.
 */

import type { Inspected } from '../../docker-engine/answers.ts';
import { References } from '../../docker-engine/references.ts';
import type { Allowance } from '../../settings/hosted-allow.ts';
import type { Surroundings } from '../surroundings.ts';
import { refusal } from './accepted-fields.ts';

type Host = Pick<Surroundings, 'docker' | 'allowed'>;

/** Drivers whose networks are within this host or between Docker hosts. Others use or expose the host's network. */
const NETWORKS = ['bridge', 'overlay'];

/** @param ref the network's id, if it is known @throws {ServiceError} `create.not_allowed` */
export async function acceptNetwork(
  name: string,
  allowed: Allowance,
  references: References,
  ref = name,
): Promise<void> {
  if (['', 'default', 'bridge'].includes(name) || allowed.get('NetworkMode')?.has(name)) return;
  const driver = await references.networkDriver(ref);
  // Docker itself refuses an unknown network.
  if (driver === undefined ? !['host', 'none'].includes(name) : NETWORKS.includes(driver)) return;
  throw refusal('the network', name, ['host', 'none'].includes(name) ? undefined : `NetworkMode=${name}`);
}

/**
 * Checks the networks that a container is in, or that of the container whose network it shares. With `none`, it is in
 * no network.
 * @param found undefined: it no longer exists
 * @throws {ServiceError} `create.not_allowed`, `docker.*`
 */
export async function checkNetworks(found: Inspected | undefined, host: Host): Promise<void> {
  if (found?.sharedWith !== undefined)
    return await checkNetworks(await host.docker.inspect(found.sharedWith), host);
  const references = new References(host.docker);
  for (const { name, id } of found?.networks ?? [])
    if (name !== 'none') await acceptNetwork(name, host.allowed, references, id || name);
}
