/**
 * Limits what a container can write to a disk, where the filesystem holds projects of files to limits (xfs and ext4 with
 * project quotas). The container's writable layer and what it writes of its directories are one project: what is over
 * CONTAINER_DISK fails there, and nobody else notices. Elsewhere `disk-watch.ts` alone looks after the disk.
 *
 * INVARIANTS
 * - The kernel says which projects have files or limits; a container gets one that has neither, on any of the filesystems.
 * - Limits are on the disk, and so outlive a reboot. Whoever starts or buries takes those away that no container has.
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
 * "EC" and 16 bits more. Docker counts from 1, and Kubernetes from 2^20. The first one ends with zeros: of what comes after
 * another number, ext4 of Linux 6.1 leaves some out.
 */
const FIRST = 0x4543_0000;
const LAST = 0x4543_ffff;

export interface DiskQuotaParts {
  /** On the filesystems that containers write to. */
  readonly directories: readonly string[];
  /** What each container may have on each of them; undefined: there is no limit. */
  readonly amount: Amount | undefined;
  readonly docker: Pick<Docker, 'layerOf'>;
  readonly log: Logger;
}

/** A project is a number that files have. */
export class DiskQuotas {
  readonly #parts: DiskQuotaParts;
  readonly #pool = new Pool(Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i));

  constructor(parts: DiskQuotaParts) {
    this.#parts = parts;
  }

  /** Holds a project with a limit until the lifetime ends. @returns undefined where the disk is only watched */
  async hold(lifetime: Lifetime): Promise<number | undefined> {
    const { directories, amount } = this.#parts;
    const rooms = await quotaRooms(directories);
    if (amount === undefined || rooms.length === 0) return undefined;
    const isFree = (project: number) => rooms.every(({ path }) => isUnused(path, project));
    const project = await this.#pool.acquire(lifetime, { ...PROJECT, usable: isFree });
    await holdLimits(lifetime, project, rooms, amount);
    return project;
  }

  /** Holds what a container has that a dead service left. */
  async adopt(lifetime: Lifetime, project: number): Promise<void> {
    await this.#pool.adopt(lifetime, project, PROJECT);
    await holdLimits(lifetime, project, await quotaRooms(this.#parts.directories));
  }

  /** @param project undefined: nothing is done @throws {ServiceError} `confinement.disk` */
  async give(project: number | undefined, trees: readonly string[]): Promise<void> {
    for (const tree of project === undefined ? [] : trees) {
      // One that is another's has a limit of its own, such as Docker's `--storage-opt size`.
      if (keepsProjects(tree) && !(await give(tree, project as number))) return;
    }
  }

  /** To be called before the container starts. @throws {ServiceError} `confinement.disk`, `docker.*` */
  async giveLayer(project: number | undefined, id: DockerId): Promise<void> {
    if (project === undefined) return;
    const { docker, log } = this.#parts;
    const layer = await docker.layerOf(id);
    if (layer.length === 0) log.debug("Docker does not report where the container's layer is, so the layer has no quota and is only monitored");
    await this.give(project, layer);
  }
}

/** Takes away the limits that a service which died has left, unless a container of it lives on. */
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

/** The filesystems that hold projects to their limits. */
async function quotaRooms(directories: readonly string[]): Promise<Room[]> {
  return (await roomsOf(directories)).filter(({ path }) => keepsProjects(path));
}

function isUnused(path: string, project: number): boolean {
  return projectsOf(path, project, project)
    .take(1)
    .every((found) => found.bytes + found.inodes + found.byteLimit + found.inodeLimit === 0);
}

/** @param amount left out: they are there already */
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
