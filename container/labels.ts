/** The labels by which a host knows its own containers in Docker, also after it has lost its memory. */

import type { Labels } from '../docker-engine/answers.ts';
import { type ContainerId, isContainerId } from './identity.ts';

const PREFIX = 'ecs-host-service';
/** The host that a container belongs to, and why it does. */
export const HOST_ID = `${PREFIX}.host-id`;
const CONTAINER_ID = `${PREFIX}.container-id`;
export const ROLE = `${PREFIX}.role`;

/** With the value `true` it asks for a hosted container. */
export const INTERACTIVE = `${PREFIX}.interactive`;
/** With the value `none` it asks for a container that has no virtual console; left out, it has one. */
export const CONSOLE = `${PREFIX}.console`;
/** The ECS agent gives it to the containers of tasks. Source: the agent's documentation of container labels. */
export const TASK = 'com.amazonaws.ecs.task-arn';

/** Who made the Docker container, and so who removes it: this service, the ECS agent, or another client of Docker. */
export const ROLES = ['spin-up', 'ecs', 'docker'] as const;
export type Role = (typeof ROLES)[number];

/** Whether it does not run, and its maker removes it. */
export function isLeftToMaker(role: Role | undefined, state: string): boolean {
  return role !== undefined && role !== 'spin-up' && (state === 'exited' || state === 'dead');
}

/** Whether it is a hosted container of this host. Others of this host have a role that another room gave them. */
export function isHostedOn(labels: Labels, hostId: string): boolean {
  return labels[HOST_ID] === hostId && roleOf(labels) !== undefined;
}

export function roleOf(labels: Labels): Role | undefined {
  return ROLES.find((role) => role === labels[ROLE]);
}

export interface Labelled {
  readonly hostId: string;
  readonly containerId: ContainerId;
  readonly role: Role;
}

export function labelsOf({ hostId, containerId, role }: Labelled): Labels {
  return { [HOST_ID]: hostId, [CONTAINER_ID]: containerId, [ROLE]: role };
}

/** Docker's `label` filters for the containers of this host, or for one of them. */
export function filterOf(hostId: string, containerId?: ContainerId): string[] {
  return [`${HOST_ID}=${hostId}`, ...(containerId ? [`${CONTAINER_ID}=${containerId}`] : [])];
}

export function withoutOurs(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !name.startsWith(`${PREFIX}.`)));
}

export function containerIdOf(labels: Labels): ContainerId | undefined {
  const id = labels[CONTAINER_ID];
  return isContainerId(id) ? id : undefined;
}
