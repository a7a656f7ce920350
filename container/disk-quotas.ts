/**
 * Limits what a container can write to a disk, if the filesystem has project quotas (xfs and ext4). The container's
 * writable layer and its writable directories are one project. Writes beyond CONTAINER_DISK fail and affect no other
 * container. On other filesystems, only `disk-watch.ts` protects the disk.
 *
 * INVARIANTS
 * - The kernel knows which projects have files or limits. A container gets a project that has neither on any of the
 *   filesystems.
 * - Limits are stored on the disk and survive a reboot. A starting service, or `bury`, removes limits that belong to no
 *   container.
 */

import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { type Room, roomsOf } from '../host/disk-room.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { Pool } from '../lifetime/pool.ts';
import type { Logger } from '../logging/logger.ts';
import type { Amount } from '../settings/amount.ts';
import { giveToProject, keepsProjects, limitProject, projectsOf } from '../uinput-native/projects.ts';
import { limitOn } from './disk-use.ts';

/**
 * "EC" and 16 more bits. Docker counts from 1, and Kubernetes from 2^20. The first number ends with zero bits, because
 * ext4 in Linux 6.1 skips some projects when it lists them from another number.
 */
const FIRST = 0x4543_0000;
const LAST = 0x4543_ffff;

export interface DiskQuotaParts {
  /** On the filesystems that containers write to. */
  readonly directories: readonly string[];
  /** The limit of each container on each of them; undefined: no limit. */
  readonly amount: Amount | undefined;
  readonly docker: Pick<Docker, 'layerOf'>;
  readonly log: Logger;
}

/** A project is a number that files have. */
export class DiskQuotas {
  readonly #parts: DiskQuotaParts;
  readonly #projects = new Pool(numbersFrom(FIRST, LAST));

  constructor(parts: DiskQuotaParts) {
    this.#parts = parts;
  }

  /** Holds a project with a limit until the lifetime ends. @returns undefined if the disk is only monitored */
  async hold(lifetime: Lifetime): Promise<number | undefined> {
    const { directories, amount } = this.#parts;
    const rooms = await quotaRooms(directories);
    if (amount === undefined || rooms.length === 0) return undefined;
    const isFree = (project: number) => rooms.every(({ path }) => isUnused(path, project));
    const project = await this.#projects.acquire(lifetime, { ...PROJECT, usable: isFree });
    await holdLimits(lifetime, project, rooms, amount);
    return project;
  }

  /** Holds the project of a container that a crashed service left. */
  async adopt(lifetime: Lifetime, project: number): Promise<void> {
    await this.#projects.adopt(lifetime, project, PROJECT);
    await holdLimits(lifetime, project, await quotaRooms(this.#parts.directories));
  }

  /** @param project undefined: does nothing @throws {ServiceError} `confinement.disk` */
  async give(project: number | undefined, trees: readonly string[]): Promise<void> {
    for (const tree of project === undefined ? [] : trees) {
      // A tree of another project has its own limit, for example by Docker's `--storage-opt size`.
      if (keepsProjects(tree) && !(await give(tree, project as number))) return;
    }
  }

  /** To be called before the container starts. @throws {ServiceError} `confinement.disk`, `docker.*` */
  async giveLayer(project: number | undefined, id: DockerId): Promise<void> {
    if (project === undefined) return;
    const { docker, log } = this.#parts;
    const layer = await docker.layerOf(id);
    if (layer.length === 0)
      log.debug(
        "Docker does not report where the container's layer is, so the layer has no quota and is only monitored",
      );
    await this.give(project, layer);
  }
}

function* numbersFrom(first: number, last: number): Generator<number> {
  for (let n = first; n <= last; n++) yield n;
}

/** Removes the limits that a crashed service left, except those of containers that keep running. */
export async function clearLimits(directories: readonly string[], kept: readonly number[]): Promise<void> {
  for (const { path } of await quotaRooms(directories)) {
    for (const { number, byteLimit, inodeLimit } of projectsOf(path, FIRST, LAST)) {
      if (byteLimit + inodeLimit > 0 && !kept.includes(number)) limitProject(path, number, 0, 0);
    }
  }
}

const PROJECT = {
  kind: 'disk project',
  describe: String,
  seenGone: () => 'its limit is removed',
};

/** The filesystems with project quotas. */
async function quotaRooms(directories: readonly string[]): Promise<Room[]> {
  return (await roomsOf(directories)).filter(({ path }) => keepsProjects(path));
}

function isUnused(path: string, project: number): boolean {
  return projectsOf(path, project, project)
    .take(1)
    .every((found) => found.bytes + found.inodes + found.byteLimit + found.inodeLimit === 0);
}

/** @param amount missing: the limits are already set */
async function holdLimits(
  lifetime: Lifetime,
  project: number,
  rooms: readonly Room[],
  amount?: Amount,
): Promise<void> {
  for (const room of rooms) {
    const { path } = room;
    await lifetime.acquire({
      kind: 'disk limit',
      what: `of project ${project} on ${path}`,
      take: () => {
        if (!amount) return;
        const { bytes, inodes } = limitOn(room, amount);
        limit(path, project, bytes, Number.isFinite(inodes) ? Math.floor(inodes) : 0);
      },
      release: () => limit(path, project, 0, 0),
      seenGone: () => {
        const [found] = projectsOf(path, project, project);
        if (found && found.byteLimit + found.inodeLimit > 0) {
          throw new ServiceError('still.there', {
            what: `the limit of project ${project} on ${path}`,
            why: 'another program has set it again',
          });
        }
        return 'the filesystem has no limit for it';
      },
    });
  }
}

function limit(directory: string, project: number, bytes: number, inodes: number): void {
  try {
    limitProject(directory, project, bytes, inodes);
  } catch (error) {
    throw new ServiceError('confinement.disk', { directory, why: messageOf(error) }, { cause: error });
  }
}

async function give(directory: string, project: number): Promise<boolean> {
  try {
    return await giveToProject(directory, project);
  } catch (error) {
    throw new ServiceError('confinement.disk', { directory, why: messageOf(error) }, { cause: error });
  }
}
