/** The labels by which a host knows its own containers in Docker, also after it has lost its memory. */

import { type ContainerId, isContainerId } from './identity.ts';

const PREFIX = 'ecs-host-service';
const HOST_ID = `${PREFIX}.host-id`;
const CONTAINER_ID = `${PREFIX}.container-id`;
const ROLE = `${PREFIX}.role`;

/** Who made the Docker container, and so who removes it. */
export type Role = 'spin-up';

export interface Labelled {
  readonly hostId: string;
  readonly containerId: ContainerId;
  readonly role: Role;
}

export function labelsOf({ hostId, containerId, role }: Labelled): Record<string, string> {
  return { [HOST_ID]: hostId, [CONTAINER_ID]: containerId, [ROLE]: role };
}

/** Docker's `label` filters for the containers of this host, or for one of them. */
export function filterOf(hostId: string, containerId?: ContainerId): string[] {
  return [`${HOST_ID}=${hostId}`, ...(containerId ? [`${CONTAINER_ID}=${containerId}`] : [])];
}

export function containerIdOf(labels: Readonly<Record<string, string>>): ContainerId | undefined {
  const id = labels[CONTAINER_ID];
  return isContainerId(id) ? id : undefined;
}
