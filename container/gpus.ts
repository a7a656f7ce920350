/**
 * Distributes the GPUs of the host among the containers. Each container gets certain GPUs by UUID, those with the
 * fewest containers first. Programs on one GPU share its memory and its time, so an operator limits the number of
 * containers for each GPU.
 */

import type { Docker } from '../docker-engine/docker.ts';
import { ServiceError } from '../errors/service-error.ts';
import { gpusIn } from '../host/gpus.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { PoolUse } from '../lifetime/pool.ts';
import type { GpuAccess } from './creation/gpu-requests.ts';

const DRIVER = '/proc/driver/nvidia/gpus';

/** Says how it was observed that the container does not run. */
type SeenGone = () => string | Promise<string>;

export class Gpus {
  /** How Docker gives a GPU to a container. */
  readonly access: GpuAccess;
  readonly #shares: number;
  /** The number of containers on each GPU, in the order of the host. */
  readonly #held: Map<string, number>;

  /** @param shares the maximum number of containers for each GPU */
  constructor(uuids: readonly string[], shares: number, access: GpuAccess) {
    this.#held = new Map(uuids.map((uuid) => [uuid, 0]));
    this.#shares = shares;
    this.access = access;
  }

  /** The GPUs that Docker can give to containers. @param driver the driver's directory */
  static async ofThisHost(
    docker: Pick<Docker, 'gpuSupport'>,
    shares: number,
    driver = DRIVER,
  ): Promise<Gpus> {
    const [{ runtime, cdi }, listed] = await Promise.all([docker.gpuSupport(), gpusIn(driver)]);
    return runtime ? new Gpus(listed, shares, 'nvidia') : new Gpus(cdi, shares, 'cdi');
  }

  /** The number of shares, and the number of held ones. */
  get use(): PoolUse {
    const held = [...this.#held.values()].reduce((sum, count) => sum + Math.min(count, this.#shares), 0);
    return { size: this.#held.size * this.#shares, held };
  }

  /**
   * Holds a share of each of `count` different GPUs until the lifetime ends.
   * @returns their UUIDs; none if the GPUs of this host are unknown
   * @throws {ServiceError} `gpu.none_free`
   */
  async acquire(lifetime: Lifetime, count: number, seenGone: SeenGone): Promise<string[]> {
    if (this.#held.size === 0) return [];
    const free = [...this.#held].filter(([, held]) => held < this.#shares).sort(([, a], [, b]) => a - b);
    if (free.length < count) throw new ServiceError('gpu.none_free', { size: this.use.size });
    const uuids = free.slice(0, count).map(([uuid]) => uuid);
    await this.adopt(lifetime, uuids, seenGone);
    return uuids;
  }

  /**
   * Holds the GPUs that a container already has, because its creator chose them or because a crashed service left it.
   */
  async adopt(lifetime: Lifetime, uuids: readonly string[], seenGone: SeenGone): Promise<void> {
    await Promise.all(uuids.map((uuid) => this.#hold(lifetime, uuid, seenGone)));
  }

  async #hold(lifetime: Lifetime, uuid: string, seenGone: SeenGone): Promise<void> {
    // Counts before it awaits anything, so that another container sees the new count.
    this.#count(uuid, 1);
    let isTaken = false;
    try {
      await lifetime.acquire({
        kind: 'gpu',
        what: uuid,
        take: () => {
          isTaken = true;
        },
        release: () => {},
        seenGone: async () => {
          const seen = await seenGone();
          this.#count(uuid, -1);
          return seen;
        },
      });
    } finally {
      if (!isTaken) this.#count(uuid, -1);
    }
  }

  /** Ignores a GPU that the host no longer has. */
  #count(uuid: string, change: number): void {
    const held = this.#held.get(uuid);
    if (held !== undefined) this.#held.set(uuid, held + change);
  }
}
