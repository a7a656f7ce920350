/**
 * Ends a container that fills the disk with files that `disk-quotas.ts` does not limit. The free space is checked all
 * the time, which is cheap. Only when the disk is almost full is each container's use counted. A container with more
 * than CONTAINER_DISK causes a warning, and is ended if the next check finds the same.
 */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { messageOf } from '../../errors/service-error.ts';
import { isLittle, type Room, roomsOf } from '../../host/disk-room.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { Amount } from '../../settings/amount.ts';
import type { HostedContainer } from '../container.ts';
import { directoriesOf } from '../directories.ts';
import { countUse, type DiskUse, limitOn, sumOf } from '../disk-use.ts';
import type { ContainerId } from '../identity.ts';
import type { KeptContainers } from '../kept-containers.ts';
import type { Cause } from '../state.ts';
import type { Tracker } from '../tracker.ts';

/** In milliseconds: between checks of the free space, and between counts that found no container to end. */
const BETWEEN_LOOKS = 2_000;
const BETWEEN_COUNTS = 30_000;
const MIB = 2 ** 20;

export class DiskWatch {
  readonly #tracker: Tracker;
  readonly #kept: KeptContainers;
  readonly #amount: Amount;
  readonly #directories: readonly string[];
  readonly #signal: AbortSignal;
  readonly #warned = new Set<ContainerId>();
  /** By device: the free space at the last count, and its time. */
  readonly #counted = new Map<number, { readonly room: Room; readonly at: number }>();

  private constructor({ tracker, kept, amount, directories }: Watched, signal: AbortSignal) {
    this.#tracker = tracker;
    this.#kept = kept;
    this.#amount = amount;
    this.#directories = directories;
    this.#signal = signal;
  }

  /** Monitors the disks until the lifetime ends. */
  static async open(lifetime: Lifetime, { tracker, kept, amount }: DiskWatchOptions): Promise<void> {
    if (amount === undefined) return;
    const { docker, paths } = tracker.host;
    const { directory } = await docker.describe();
    const directories = [paths.containers, directory];
    const watch = new DiskWatch({ tracker, kept, amount, directories }, lifetime.signal);
    void lifetime.track('watching the disk', watch.#run());
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#look().catch((error: unknown) => {
        if (this.#signal.aborted) return;
        this.#tracker.host.log.warn({ why: messageOf(error) }, 'could not measure the disk use');
      });
      await pause(BETWEEN_LOOKS, undefined, { signal: this.#signal, ref: false }).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const rooms = await roomsOf(this.#directories);
    const little = rooms.filter(isLittle);
    if (little.length === 0) {
      this.#warned.clear();
      this.#counted.clear();
    }
    for (const room of little) if (this.#isDue(room)) await this.#count(room);
  }

  /** Avoids repeated counts of a disk that stays full without changes. */
  #isDue(room: Room): boolean {
    const last = this.#counted.get(room.device);
    if (!last || this.#warned.size > 0 || performance.now() - last.at > BETWEEN_COUNTS) return true;
    return 2 * room.free < last.room.free || 2 * room.freeInodes < last.room.freeInodes;
  }

  async #count(room: Room): Promise<void> {
    const { path, free, freeInodes } = room;
    const limit = limitOn(room, this.#amount);
    if (!this.#counted.has(room.device))
      this.#tracker.host.log.warn({ path, free, freeInodes }, 'the disk is almost full');
    const over: ContainerId[] = [];
    for (const container of this.#tracker.list()) {
      const use = await this.#useOf(container, room);
      if (use.bytes <= limit.bytes && use.inodes <= limit.inodes) continue;
      over.push(container.id);
      await this.#tooMuch(container, use, limit);
    }
    for (const id of this.#warned) if (!over.includes(id)) this.#warned.delete(id);
    this.#counted.set(room.device, { room, at: performance.now() });
  }

  async #tooMuch(container: HostedContainer, use: DiskUse, limit: DiskUse): Promise<void> {
    const { id } = container;
    const { log } = this.#tracker.host;
    const text = `it has ${describe(use)} on a disk that is almost full, more than CONTAINER_DISK allows (${describe(limit)})`;
    if (this.#warned.has(id)) {
      this.#warned.delete(id);
      await this.#end(container, { code: 'over-disk-limit', text });
    } else {
      this.#warned.add(id);
      log.warn({ container: id, ...use }, `the next check ends a container: ${text}`);
    }
  }

  /**
   * Kills the container without a grace period, so that it writes no more, and removes its Docker container with what
   * it wrote.
   */
  async #end(container: HostedContainer, cause: Cause): Promise<void> {
    const { docker, log } = this.#tracker.host;
    const { id, dockerId } = container;
    try {
      const ended = this.#tracker.lifetime.track('ending a container', container.end(cause));
      // If this fails, the end of the container still stops it.
      if (dockerId) await docker.stop(dockerId, 0).catch(() => {});
      await ended;
      if (dockerId) await this.#remove(dockerId);
    } catch (error) {
      log.error({ error, container: id }, 'could not end a container that fills the disk');
    }
  }

  async #remove(dockerId: DockerId): Promise<void> {
    if (this.#kept.has(dockerId)) await this.#kept.remove(dockerId);
    else await this.#tracker.host.docker.remove(dockerId);
  }

  async #useOf({ id, dockerId }: HostedContainer, { device }: Room): Promise<DiskUse> {
    const { paths, docker } = this.#tracker.host;
    const { own, ownSockets } = directoriesOf(paths, id);
    const uses: DiskUse[] = [];
    for (const tree of [own, ownSockets, ...(dockerId ? await docker.writtenBy(dockerId) : [])]) {
      const found = await stat(tree).catch(() => undefined);
      if (found?.dev !== device) continue;
      const use = await countUse(join(paths.run, 'disk-view'), tree, this.#signal);
      if (use) uses.push(use);
      else this.#tracker.host.log.warn({ container: id, tree }, "could not measure a container's disk use");
    }
    return sumOf(uses);
  }
}

export interface DiskWatchOptions {
  readonly tracker: Tracker;
  readonly kept: KeptContainers;
  /** The limit of each container on each filesystem; undefined: no monitoring. */
  readonly amount: Amount | undefined;
}

interface Watched extends DiskWatchOptions {
  readonly amount: Amount;
  /** On the filesystems that containers write to. */
  readonly directories: readonly string[];
}

function describe({ bytes, inodes }: DiskUse): string {
  return `${Math.ceil(bytes / MIB)} MiB in ${Math.ceil(inodes)} files`;
}
