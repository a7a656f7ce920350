/** Finds present problems of services: recent events of ECS, and stopped tasks. */

import type { Cloud, Service } from '../release/cloud.ts';
import { whyStopped } from '../release/judge.ts';
import { causesOf } from './known-errors.ts';

export interface Trouble {
  readonly service: string;
  readonly reason: string;
  readonly causes: readonly string[];
}

const TROUBLED = /unable|unhealthy|failed|circuit breaker|rolling back/i;

/** @param names the services' names in the cluster */
export async function troublesOf(
  cloud: Pick<Cloud, 'services' | 'stoppedTasks'>,
  names: readonly string[],
): Promise<readonly Trouble[]> {
  const services = names.length > 0 ? await cloud.services(names) : [];
  const all = await Promise.all(
    services.map(async (service) => {
      const stopped = await cloud.stoppedTasks(service.name);
      const reasons = stopped
        .filter(({ stopCode }) => /EssentialContainerExited|TaskFailedToStart/.test(stopCode))
        .map((task) => `a task stopped: ${whyStopped(task)}`);
      return [...new Set([...eventsSinceSteady(service), ...reasons])].map((reason) => ({
        service: service.name,
        reason,
        causes: causesOf(reason),
      }));
    }),
  );
  return all.flat();
}

/** Returns the events about problems since the service was last steady. Older problems are over. */
function eventsSinceSteady({ events }: Service): readonly string[] {
  const steady = events.findIndex(({ message }) => message.includes('has reached a steady state'));
  const recent = steady < 0 ? events : events.slice(0, steady);
  // Events of the same kind differ only in their task.
  const byKind = new Map(
    recent
      .filter(({ message }) => TROUBLED.test(message))
      .map(({ message }) => [message.replaceAll(/[0-9a-f]{8,}/g, ''), message]),
  );
  return [...byKind.values()].slice(0, 3);
}
