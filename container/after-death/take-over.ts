/**
 * Takes over the containers of an earlier service, according to the ledger. Assigned containers are adopted, and so is
 * every container that the service handed over. The others are removed with everything that belonged to them. Only
 * containers that the ledger and the labels prove to be this host's are touched. The work can be interrupted at any point
 * and repeated.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { killLeft } from '../../docker-engine/terminal-processes.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Entry, Page } from '../../lifetime/ledger.ts';
import { monotonic } from '../../lifetime/monotonic.ts';
import { cgroupIn, removeCgroup } from '../cgroups.ts';
import type { Claimed, ContainerFacts, LeftContainer } from '../facts.ts';
import { type Handed, type HandedContainer, type HandedKept, NOTHING_HANDED } from '../handed-over.ts';
import type { HostedDocker } from '../hosted-docker.ts';
import { type ContainerId, isContainerId } from '../identity.ts';
import { KEPT_AFTER_END, type KeptContainers } from '../kept-containers.ts';
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

/** The containers that Docker had created and that still held something when their service ended. */
function leftIn(pages: readonly Page[]): LeftContainer[] {
  return pages.flatMap(({ name: id, entries, facts }) => {
    const { dockerId, ...others } = (facts ?? {}) as ContainerFacts;
    const isHeld = entries.some(({ owner }) => owner.kind === 'container');
    if (!isContainerId(id) || !isHeld || !dockerId) return [];
    return [{ ...others, id, dockerId, cgroup: cgroupIn(entries) }];
  });
}

/** The containers that keep running after a crash. */
export function claimedIn(pages: readonly Page[]): Claimed[] {
  return leftIn(pages).flatMap(({ startValues, ...others }) =>
    startValues ? [{ ...others, startValues }] : [],
  );
}

/** The containers that the next service adopts. */
export function adoptableIn(pages: readonly Page[], { containers }: Handed): LeftContainer[] {
  const handed = new Map(containers.map((one) => [one.id, one]));
  return leftIn(pages).flatMap((left) => {
    const found = handed.get(left.id);
    if (found) return [{ ...left, handed: found }];
    return left.startValues ? [left] : [];
  });
}

/** Brings the previous service's record up to date with the ledger, which shows what that service did afterwards. */
function upToDate(handed: Handed, pages: readonly Page[]): Handed {
  const entries = new Map(pages.map((page) => [page.name, page.entries]));
  return {
    ...handed,
    containers: handed.containers.map((one) => withLaterReleases(one, entries.get(one.id) ?? [])),
    kept: [...handed.kept, ...keptSince(pages, handed)],
  };
}

/**
 * Records as released what the ledger no longer contains: the previous service released it after it had written its
 * record.
 */
function withLaterReleases(handed: HandedContainer, entries: readonly Entry[]): HandedContainer {
  const held = new Set(entries.map(({ kind, what }) => `${kind} ${what}`));
  const gone = {
    released: new Date().toISOString(),
    seen: 'the previous service removed it from the ledger',
  };
  const resources = handed.receipt.resources.map((one) => {
    const { failed: _, ...others } = one;
    return one.released || held.has(`${one.kind} ${one.what}`) ? one : { ...others, ...gone };
  });
  return { ...handed, receipt: { ...handed.receipt, resources } };
}

/**
 * Finds the Docker containers that are kept for their logs and that the record does not name as kept, because the
 * previous service ended their containers after it had written the record.
 */
function keptSince(pages: readonly Page[], { containers }: Handed): HandedKept[] {
  const handed = new Set<string>(containers.map(({ id }) => id));
  return pages.flatMap(({ name: id, entries, facts }) => {
    const { dockerId } = (facts ?? {}) as ContainerFacts;
    const isKept = entries.length > 0 && entries.every(({ owner }) => owner.kind === 'docker container');
    return handed.has(id) && dockerId && isKept
      ? [{ id, dockerId, until: monotonic() + KEPT_AFTER_END }]
      : [];
  });
}

/** The quota projects of their files. */
export function projectsIn(pages: readonly Page[], handed = NOTHING_HANDED): number[] {
  return adoptableIn(pages, handed).flatMap(({ project }) => project ?? []);
}

/**
 * Removes the unassigned containers of this host in parallel, and then their resources, except those that were handed
 * over.
 * @throws {ServiceError} `docker.*`; another call continues
 */
export async function removeUnclaimed(
  host: Remover,
  pages: readonly Page[],
  handed = NOTHING_HANDED,
): Promise<void> {
  const { docker, hostId, log } = host;
  const claimed = new Set<string>([...adoptableIn(pages, handed), ...handed.kept].map(({ id }) => id));
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

/** A failure here must not stop the take-over. */
async function endTerminals(
  { log }: Surroundings,
  adopted: readonly LeftContainer[],
  { spared = new Set() }: Handed,
): Promise<void> {
  try {
    await killLeft(
      adopted.map(({ dockerId }) => dockerId),
      spared,
    );
  } catch (error) {
    log.warn(
      { why: messageOf(error) },
      'terminals that an earlier service opened in containers keep running',
    );
  }
}

/**
 * Adopts the assigned containers and those that were handed over, and removes the others.
 * @throws {ServiceError} `docker.*`, `ledger.not_written`
 */
export async function takeOver(
  tracker: Tracker,
  kept: KeptContainers,
  pages: readonly Page[],
  given: Handed = NOTHING_HANDED,
): Promise<void> {
  const handed = upToDate(given, pages);
  const adoptable = adoptableIn(pages, handed);
  await endTerminals(tracker.host, adoptable, handed);
  const { limitPreparations } = tracker.host;
  const adopted = adoptable.map((left) => limitPreparations(() => adopt(tracker, kept, left)));
  // Waits for all before it reports a failure, because whoever ends them must know all of them.
  await Promise.allSettled(adopted);
  await Promise.all(adopted);
  for (const one of handed.kept) await keepOn(kept, one);
  await removeUnclaimed(tracker.host, pages, handed);
}

async function adopt(tracker: Tracker, kept: KeptContainers, left: LeftContainer): Promise<void> {
  const { log } = tracker.host;
  const { handed } = left;
  const container = await tracker.adopt(left);
  if (left.role === 'spin-up') {
    await kept.adopt(left.id, left.dockerId);
    void container.gone.then(() => kept.removeLater(left.dockerId));
  }
  if (!handed) return log.warn(container.describe(), 'adopted a container of a crashed service');
  log.info(container.describe(), 'adopted a container of the previous service');
  if (!handed.ending) return;
  const ended = container.end(handed.ending).catch((error: unknown) => {
    log.error({ container: left.id, error }, messageOf(error));
  });
  void tracker.lifetime.track('ending a container', ended);
}

/** Its hosted container has ended, so only its log is still useful. */
async function keepOn(kept: KeptContainers, { id, dockerId, until }: HandedKept): Promise<void> {
  await kept.adopt(id as ContainerId, dockerId as DockerId);
  kept.removeLater(dockerId as DockerId, Math.max(0, until - monotonic()));
}
