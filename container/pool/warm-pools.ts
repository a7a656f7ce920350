/**
 * The pools of warm containers. A warm container has no user; it runs and waits for `.ready`. A request for a new
 * container gets a warm one if that is the same as a new one would be.
 *
 * INVARIANTS
 * - A container is taken once. Its taker ends it; it never returns to a pool.
 * - A pool never delays a request: if none of its containers fits, the caller creates one.
 */

import { isDeepStrictEqual } from 'node:util';
import { ServiceError } from '../../errors/service-error.ts';
import type { Lifetime } from '../../lifetime/lifetime.ts';
import type { HostedContainer } from '../container.ts';
import type { HandedPools } from '../handed-over.ts';
import type { SpinUpRequest } from '../spin-up.ts';
import { Book, type Entry } from './book.ts';
import { watchImages } from './image-watch.ts';
import type { Found, PoolSpec, PoolView } from './pool-spec.ts';
import { type Kept, Refill, type RefillParts } from './refill.ts';
import { differences, shapeOf } from './shape.ts';

export interface WarmPoolsParts extends Pick<RefillParts, 'tracker' | 'kept' | 'findImage'> {
  /** Counts the requests that could have been served by a pool. */
  readonly count: (result: 'warm' | 'cold') => void;
}

/** The maximum number of pools on a host. */
const MOST = 100;

export class WarmPools {
  readonly #lifetime: Lifetime;
  readonly #parts: WarmPoolsParts;
  readonly #book = new Book();
  readonly #pools = new Map<string, Kept>();
  readonly #refill: Refill;
  #isBegun = false;

  /** @param lifetime the pools are kept until it ends */
  constructor(lifetime: Lifetime, parts: WarmPoolsParts) {
    this.#lifetime = lifetime;
    this.#parts = parts;
    this.#refill = new Refill({ ...parts, book: this.#book, pools: this.#pools });
  }

  /** Called with the first pool. On a host without pools, nothing runs for them. */
  #begin(): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    const { host } = this.#parts.tracker;
    const { signal } = this.#lifetime;
    const wake = () => this.#refill.wake();
    host.shortage.answerWith(() => this.#giveUp());
    this.#parts.tracker.onOpening(wake);
    void this.#lifetime.track('filling the pools', this.#refill.run(signal));
    void this.#lifetime.track('watching images', watchImages(host, wake, signal));
  }

  /**
   * Creates a pool, or changes one. Containers of the same shape stay in it.
   * @throws {ServiceError} `pool.too_many`
   */
  set(name: string, spec: PoolSpec): PoolView {
    if (!this.#pools.has(name) && this.#pools.size >= MOST)
      throw new ServiceError('pool.too_many', { most: MOST });
    const { size, maxAge, request } = spec;
    const known = this.#pools.get(name);
    const isSame = known && isDeepStrictEqual(shapeOf(known.spec.request), shapeOf(request));
    if (isSame) Object.assign(known, { spec, failures: 0, notBefore: 0 });
    else this.#pools.set(name, { spec, taken: known?.taken ?? 0, failures: 0, notBefore: 0 });
    this.#book.set(name, { size, maxAge: 1000 * maxAge, shape: JSON.stringify(shapeOf(request)) });
    this.#begin();
    this.#refill.wake();
    return this.named(name);
  }

  /**
   * Removes a pool and ends its containers.
   * @returns the last view of the pool
   * @throws {ServiceError} `pool.unknown`
   */
  delete(name: string): PoolView {
    const view = this.named(name);
    this.#pools.delete(name);
    this.#book.delete(name);
    this.#refill.wake();
    return view;
  }

  /** Leaves the pools as they are, except for claims. Resolves when no container is being made. */
  async settle(): Promise<void> {
    await this.#refill.settle();
  }

  /** The data with which the next service continues. */
  get handed(): HandedPools {
    const pools = [...this.#pools].map(([name, { spec, image }]) => ({
      name,
      asked: spec.asked,
      isPermanent: spec.isPermanent,
      appImage: spec.request.appImage,
      ...(image !== undefined && { image }),
    }));
    return { pools, warm: [...this.#book.entries] };
  }

  /** Takes over the containers of the previous service. Ends those whose pool is gone or has changed. */
  restore({ pools, warm }: HandedPools): void {
    for (const { name, appImage, image } of pools) {
      const known = this.#pools.get(name);
      if (known && image !== undefined && known.spec.request.appImage === appImage) known.image ??= image;
    }
    for (const entry of warm as Entry[])
      if (this.#parts.tracker.byId(entry.id)?.view.state === 'running') this.#book.restore(entry);
    if (warm.length > 0) this.#begin();
  }

  list(): PoolView[] {
    return [...this.#pools.keys()].sort().map((name) => this.named(name));
  }

  /** @throws {ServiceError} `pool.unknown` */
  named(name: string): PoolView {
    const found = this.#pools.get(name);
    if (!found) throw new ServiceError('pool.unknown', { name });
    const { spec, taken, lastError } = found;
    const { size, maxAge, pull, request } = spec;
    return {
      name,
      size,
      maxAge,
      pull,
      image: request.appImage,
      app: request.appName,
      ready: this.#book.of(name).length,
      making: this.#book.isMaking(name) ? 1 : 0,
      taken,
      ...(lastError !== undefined && { lastError }),
    };
  }

  /**
   * Takes a warm container for a user, if one is the same as a new one would be.
   * @param assign gives it to the user
   * @returns undefined if the host has no pools
   * @throws {ServiceError} `service.*` when the host accepts no containers, or what `assign` throws
   */
  async claim(
    request: SpinUpRequest,
    pull: PoolSpec['pull'],
    assign: (container: HostedContainer) => Promise<void>,
  ): Promise<Found<HostedContainer> | undefined> {
    if (this.#pools.size === 0) return undefined;
    this.#parts.tracker.throwIfClosed();
    const found = await this.#find(request, pull, assign);
    this.#parts.count('container' in found ? 'warm' : 'cold');
    return found;
  }

  async #find(
    request: SpinUpRequest,
    pull: PoolSpec['pull'],
    assign: (container: HostedContainer) => Promise<void>,
  ): Promise<Found<HostedContainer>> {
    if (pull === 'always')
      return { why: 'the request pulls its image first, so it always gets a new container' };
    const { fitting, why } = this.#fitting(request);
    for (const pool of fitting) {
      const container = await this.#takeFrom(pool, assign);
      if (container) return { container, pool };
    }
    return { why };
  }

  /** @returns the pools of the same shape, and why none of their containers can be taken */
  #fitting(request: SpinUpRequest): { readonly fitting: readonly string[]; readonly why: string } {
    const shape = shapeOf(request);
    const compared = [...this.#pools].map(([name, { spec }]) => ({
      name,
      differing: differences(shape, shapeOf(spec.request)),
    }));
    const fitting = compared.filter(({ differing }) => differing.length === 0).map(({ name }) => name);
    if (fitting.length > 0)
      return { fitting, why: `no container of the pool ${fitting.join(', ')} was ready` };
    const ofImage = compared.filter(({ differing }) => !differing.includes('image'));
    const [closest] = ofImage.sort((a, b) => a.differing.length - b.differing.length);
    if (!closest) return { fitting, why: `no pool has the image ${request.appImage}` };
    const { name, differing } = closest;
    return { fitting, why: `the request differs from the pool ${name} in: ${differing.join(', ')}` };
  }

  async #takeFrom(
    pool: string,
    assign: (container: HostedContainer) => Promise<void>,
  ): Promise<HostedContainer | undefined> {
    const kept = this.#pools.get(pool);
    if (kept?.image === undefined) return undefined;
    // The name may refer to another image since the last look.
    const imageId = await this.#parts.tracker.host.docker.imageId(kept.image);
    if (imageId === undefined) return undefined;
    for (let id = this.#book.take(pool, imageId); id; id = this.#book.take(pool, imageId)) {
      const container = this.#parts.tracker.byId(id);
      if (!container || !(await this.#give(container, assign))) continue;
      kept.taken += 1;
      return container;
    }
    this.#refill.wake();
    return undefined;
  }

  /** @returns false if it has just ended, or was assigned by its port */
  async #give(
    container: HostedContainer,
    assign: (container: HostedContainer) => Promise<void>,
  ): Promise<boolean> {
    if (container.view.state !== 'running') return false;
    this.#refill.claimed(container.id);
    try {
      await assign(container);
      return true;
    } catch (error) {
      if (isTakenOrGone(error)) return false;
      await this.#refill.end(container.id, 'it could not be assigned');
      throw error;
    }
  }

  async #giveUp(): Promise<boolean> {
    const id = this.#book.giveUp();
    if (!id) return false;
    await this.#refill.end(id, 'another container needed its resources');
    return true;
  }
}

function isTakenOrGone(error: unknown): boolean {
  const codes = ['container.not_running', 'container.other_start_values', 'container.unknown_port'];
  return error instanceof ServiceError && codes.includes(error.code);
}
