/**
 * Takes over the containers of a crashed service, according to the ledger. Assigned containers are adopted. The others
 * are removed with everything that belonged to them. Only containers that the ledger and the labels prove to be this
 * host's are touched. The work can be interrupted at any point and repeated.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { killLeft } from '../../docker-engine/terminal-processes.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Page } from '../../lifetime/ledger.ts';
import { cgroupIn, removeCgroup } from '../cgroups.ts';
import type { Claimed, ContainerFacts } from '../facts.ts';
import type { HostedDocker } from '../hosted-docker.ts';
import { type ContainerId, isContainerId } from '../identity.ts';
import type { KeptContainers } from '../kept-containers.ts';
import { keepLog } from '../kept-logs.ts';
import { isLeftToMaker } from '../labels.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Tracker } from '../tracker.ts';
import { removeUnanswered } from '../unanswered.ts';
import { removeLeftOf } from './left-behind.ts';

/** How many times, and at which interval in milliseconds, this checks whether Docker has removed them. */
const LOOKS = 100;
const BETWEEN_LOOKS = 100;

/** What is needed to remove containers. */
export type Remover = Pick<Surroundings, 'hostId' | 'paths' | 'ledger' | 'log'> & {
  readonly docker: Pick<HostedDocker, 'hosted' | 'remove' | 'call' | 'socket'>;
};

/** The containers that keep running. */
export function claimedIn(pages: readonly Page[]): Claimed[] {
  return pages.flatMap(({ name: id, entries, facts }) => {
    const { dockerId, startValues, ...others } = (facts ?? {}) as ContainerFacts;
    const isHeld = entries.some(({ owner }) => owner.kind === 'container');
    if (!isContainerId(id) || !isHeld || !dockerId || !startValues) return [];
    return [{ ...others, id, dockerId, startValues, cgroup: cgroupIn(entries) }];
  });
}

/** The quota projects of their files. */
export function projectsIn(pages: readonly Page[]): number[] {
  return claimedIn(pages).flatMap(({ project }) => project ?? []);
}

/**
 * Removes the unassigned containers of this host in parallel, and then their resources.
 * @throws {ServiceError} `docker.*`; another call continues
 */
export async function removeUnclaimed(host: Remover, pages: readonly Page[]): Promise<void> {
  const { docker, hostId, log } = host;
  const claimed = new Set(claimedIn(pages).map(({ id }) => id));
  const listed = await docker.hosted(hostId);
  const unclaimed = listed.filter(
    ({ containerId, role, state }) =>
      !(containerId && claimed.has(containerId)) && !isLeftToMaker(role, state),
  );
  await Promise.all(
    unclaimed.map(async ({ dockerId, containerId }) => {
      if (containerId) await keepLog(host, containerId, dockerId);
      await docker.remove(dockerId);
    }),
  );
  await untilGone(host, new Set(unclaimed.map(({ dockerId }) => dockerId)));
  for (const { containerId, dockerId, state } of unclaimed) {
    log.warn({ container: containerId, dockerId, state }, 'removed a container of a crashed service');
  }
  const gone = pages.filter(({ name }) => isContainerId(name) && !claimed.has(name));
  const found = new Set<string | undefined>(unclaimed.map(({ containerId }) => containerId));
  const unanswered = gone.filter((page) => isUnanswered(page) && !found.has(page.name));
  await Promise.all(unanswered.map(({ name }) => removeUnanswered(docker, hostId, name as ContainerId)));
  const ids = new Set([
    ...gone.map(({ name }) => name),
    ...unclaimed.flatMap(({ containerId }) => containerId ?? []),
  ]);
  await Promise.all(
    [...ids].map((id) =>
      removeWhatWasOf(
        id,
        host,
        gone.find(({ name }) => name === id),
      ),
    ),
  );
}

/** A container that cannot be removed now keeps its page, and the removal of the others continues. */
async function removeWhatWasOf(id: string, host: Remover, page: Page | undefined): Promise<void> {
  try {
    const cgroup = page && cgroupIn(page.entries);
    if (cgroup) await removeCgroup(cgroup, AbortSignal.timeout(10_000));
    await removeLeftOf(host, id);
    host.ledger.remove(id);
  } catch (error) {
    host.log.error({ container: id, error }, messageOf(error));
  }
}

/** Another process may be removing them at this moment. */
async function untilGone({ docker, hostId }: Remover, ids: ReadonlySet<DockerId>): Promise<void> {
  for (let look = 1; ids.size > 0; look++) {
    const left = (await docker.hosted(hostId)).find(({ dockerId }) => ids.has(dockerId));
    if (!left) return;
    if (look === LOOKS) {
      throw new ServiceError('still.there', {
        what: `the container ${left.dockerId}`,
        why: 'Docker has not removed it',
      });
    }
    await pause(BETWEEN_LOOKS);
  }
}

/** Whether the service died after it asked Docker to create the container and before Docker answered. */
function isUnanswered({ facts }: Page): boolean {
  const prepared = facts as ContainerFacts | undefined;
  return prepared !== undefined && prepared.dockerId === undefined;
}

/** A failure here must not stop the take-over of the others. */
async function endTerminals({ log }: Surroundings, { id, dockerId }: Claimed): Promise<void> {
  try {
    await killLeft(dockerId);
  } catch (error) {
    log.warn(
      { container: id, why: messageOf(error) },
      'terminals that a crashed service opened in a container keep running',
    );
  }
}

/** Adopts the assigned containers and removes the others. @throws {ServiceError} `docker.*`, `ledger.not_written` */
export async function takeOver(
  tracker: Tracker,
  kept: KeptContainers,
  pages: readonly Page[],
): Promise<void> {
  for (const claimed of claimedIn(pages)) {
    await endTerminals(tracker.host, claimed);
    const container = await tracker.adopt(claimed);
    if (claimed.role === 'spin-up') {
      await kept.adopt(claimed.id, claimed.dockerId);
      void container.gone.then(() => kept.removeLater(claimed.dockerId));
    }
    tracker.host.log.warn(container.describe(), 'adopted a container of a crashed service');
  }
  await removeUnclaimed(tracker.host, pages);
}
