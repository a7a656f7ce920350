/**
 * Determines which container a call is about. A client could give the name to another container meanwhile, so the call
 * is passed on with the container's id, which no hosted container can take as a name.
 */

import { refusal } from '../../container/creation/accepted-fields.ts';
import type { ContainerId } from '../../container/identity.ts';
import { containerIdOf, isHostedOn } from '../../container/labels.ts';
import type { Surroundings } from '../../container/surroundings.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import type { Exchange } from './connection.ts';
import { parametersOf } from './message-head.ts';

/** A container that is or was hosted here. */
export interface Hosted {
  readonly id: ContainerId;
  readonly dockerId: DockerId;
  readonly isRunning: boolean;
}

export interface Named {
  readonly dockerId: DockerId;
  /** undefined: the service does not manage it. */
  readonly hosted: Hosted | undefined;
}

/** @param ref a docker id, the beginning of one, or a name, as in a path */
export type Find = (ref: string) => Promise<Named | undefined>;

export function finder({ docker, hostId }: Pick<Surroundings, 'docker' | 'hostId'>): Find {
  return async (ref) => {
    const found = await docker.inspect(ref);
    if (!found) return undefined;
    const { dockerId, labels, running: isRunning } = found;
    const id = isHostedOn(labels, hostId) ? containerIdOf(labels) : undefined;
    return { dockerId, hosted: id && { id, dockerId, isRunning } };
  };
}

/** Handles a call about one container. @returns whether the connection continues */
type Handle = (exchange: Exchange, named: Named, query: string) => Promise<boolean>;

/** @param handle gets the call with the id of the container in its target */
export function byId(find: Find, handle: Handle) {
  return async (exchange: Exchange, ref: string, query: string): Promise<boolean> => {
    const named = await find(ref);
    if (!named) return await refuseUnknown(exchange, ref);
    const target = exchange.request.target.replace(`/containers/${ref}/`, `/containers/${named.dockerId}/`);
    return await handle(exchange.at(target), named, query);
  };
}

/** Uses Docker's text. Docker itself is not asked, because another container could have the name by then. */
export async function refuseUnknown(exchange: Exchange, ref: string): Promise<boolean> {
  return await exchange.refuse(404, `No such container: ${ref}`);
}

/** Docker treats an id as a name if no container has that id. @throws {ServiceError} `create.not_allowed` */
export function checkName(query: string): void {
  const id = parametersOf(query)
    .getAll('name')
    .find((name) => /^\/?[0-9a-f]{64}$/.test(name));
  if (id !== undefined) throw refusal('a name like the id of a container,', id);
}
