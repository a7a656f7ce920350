/** Derives from the configuration where tasks run: network, capacity, and the container that gets the command. Pure. */

import type { ContainerDefinition } from '@aws-sdk/client-ecs';
import type { TaskConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import type { Capacity, Placement } from './cloud.ts';

/** @param spot the percentage of the tasks on Fargate Spot */
export function capacityOf(spot: number): readonly Capacity[] {
  const all = [
    { provider: 'FARGATE_SPOT', weight: spot, base: 0 },
    { provider: 'FARGATE', weight: 100 - spot, base: 0 },
  ];
  return all.filter(({ weight }) => weight > 0);
}

/** @returns where a task with its own network in the configuration runs */
export function placementIn({
  subnets,
  securityGroups = [],
  publicIp = false,
}: NonNullable<TaskConfig['network']>): Placement {
  return { launchType: 'FARGATE', network: { subnets, securityGroups, publicIp } };
}

/**
 * Chooses the container that gets the command and sets the exit code. The default is the first essential one.
 * @throws ReleaseError usage when there is no such container
 */
export function chosenContainer(
  what: string,
  containers: readonly ContainerDefinition[],
  wanted: string | undefined,
): string {
  const names = containers.map(({ name = '' }) => name);
  const chosen = wanted ?? containers.find(({ essential = true }) => essential)?.name ?? '';
  if (names.includes(chosen)) return chosen;
  throw new ReleaseError('usage', `${what} has no container "${chosen}". It has ${names.join(', ')}.`);
}
