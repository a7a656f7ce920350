/** The labels by which a host recognises its own containers in Docker, even without any other record. */

import type { Labels } from '../docker-engine/answers.ts';
import { type ContainerId, isContainerId } from './identity.ts';

const PREFIX = 'ecs-host-service';
/** The host that a container belongs to, and why it does. */
export const HOST_ID = `${PREFIX}.host-id`;
const CONTAINER_ID = `${PREFIX}.container-id`;
export const ROLE = `${PREFIX}.role`;

/** With the value `true`, it requests a hosted container. */
export const INTERACTIVE = `${PREFIX}.interactive`;
/** With the value `none`, it requests a container without a virtual console; by default a container has one. */
export const CONSOLE = `${PREFIX}.console`;
/** The ECS agent sets it on the containers of tasks. Source: the agent's documentation of container labels. */
export const TASK = 'com.amazonaws.ecs.task-arn';

/** Who created the Docker container and removes it: this service, the ECS agent, or another client of Docker. */
export const ROLES = ['spin-up', 'ecs', 'docker'] as const;
export type Role = (typeof ROLES)[number];

/** Whether it does not run and its creator removes it. */
export function isLeftToMaker(role: Role | undefined, state: string): boolean {
  return role !== undefined && role !== 'spin-up' && (state === 'exited' || state === 'dead');
}

/** Whether it is a hosted container of this host. Other containers of this host have a role of another room. */
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

/** Docker's `label` filters for all containers of this host, or for one. */
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
