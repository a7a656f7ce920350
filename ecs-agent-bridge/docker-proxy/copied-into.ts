/** Determines where Docker unpacks an archive that a client sends to a hosted container. */

import { join } from 'node:path/posix';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { pathStat } from '../../docker-engine/path-stat.ts';
import { References } from '../../docker-engine/references.ts';
import { parametersOf } from './message-head.ts';

/**
 * The container may change a link between this check and Docker's own. Docker itself does not write to read-only
 * mounts.
 * @param query of the call
 * @returns the place at which Docker would write into a mount of the host; undefined: none
 */
export async function intoMount(docker: Docker, id: DockerId, query: string): Promise<string | undefined> {
  const known = await new References(docker).container(id);
  const binds = (known?.mounts ?? []).flatMap(({ type, target }) => (type === 'bind' ? [target] : []));
  for (const path of parametersOf(query).getAll('path')) {
    const place = await resolve(docker, id, path);
    if (binds.some((target) => place === target || place.startsWith(`${target}/`))) return place;
  }
  return undefined;
}

/** Resolves the links of a path in the container as Docker does. */
async function resolve(docker: Docker, id: DockerId, path: string): Promise<string> {
  let place = '/';
  for (const name of path.split('/').filter(Boolean)) {
    place = join(place, name);
    place = (await linkTarget(docker, id, place)) || place;
  }
  return place;
}

/** @returns undefined if nothing is there, or if it is not a link */
async function linkTarget(docker: Docker, id: DockerId, path: string): Promise<string | undefined> {
  const header = await pathStat(docker, id, path);
  if (header === undefined) return undefined;
  const stat = JSON.parse(Buffer.from(header, 'base64').toString()) as { linkTarget?: string };
  return stat.linkTarget;
}
