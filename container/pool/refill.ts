/**
 * Keeps the pools filled in the background: creates one container at a time, and ends those that must end. It runs a
 * pass after each event that can change what to do, and at least every 30 seconds, because no event reports a change of
 * the host's memory.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../errors/service-error.ts';
import { type Memory, readMemory } from '../../host/memory.ts';
import { backoff } from '../../lifetime/backoff.ts';
import { monotonic } from '../../lifetime/monotonic.ts';
import { poolsOf, roomIn } from '../capacity.ts';
import { isOfHealth, MISSED } from '../events.ts';
import type { ContainerId } from '../identity.ts';
import type { KeptContainers } from '../kept-containers.ts';
import { spinUp } from '../spin-up.ts';
import type { Tracker } from '../tracker.ts';
import type { ContainerView } from '../view.ts';
import type { Book, Room } from './book.ts';
import type { PoolSpec } from './pool-spec.ts';

/** Finds an image, or pulls it. @returns its name on this host */
export type FindPoolImage = (image: string, policy: PoolSpec['pull'], gone: AbortSignal) => Promise<string>;

/** A pool and its present state. */
export interface Kept {
  spec: PoolSpec;
  /** The name of its image on this host, once the image was found. */
  image?: string;
  /** The id of that image when it was last looked up. */
  imageId?: string | undefined;
  taken: number;
  failures: number;
  /** The time of the monotonic clock, in milliseconds, before which there is no other attempt. */
  notBefore: number;
  lastError?: string | undefined;
}

export interface RefillParts {
  readonly book: Book;
  readonly pools: ReadonlyMap<string, Kept>;
  readonly tracker: Tracker;
  readonly kept: KeptContainers;
  readonly findImage: FindPoolImage;
}

/** In milliseconds: the longest time between two passes, and the pause after a failure. */
const BETWEEN_PASSES = 30_000;
const PAUSE = { shortest: 1_000, longest: 60_000 };
/** Milliseconds after a claim in which no container is created, unless the claimed one is ready earlier. */
const CALM = 1_000;

export class Refill {
  readonly #parts: RefillParts;
  /** Claimed containers that are not ready yet, each with the timer that ends the wait for it. */
  readonly #claimed = new Map<ContainerId, NodeJS.Timeout>();
  readonly #ending = new Set<ContainerId>();
  #woken = new AbortController();
  /** Aborts when the pools must not change any more. */
  readonly #settling = new AbortController();
  #making: Promise<void> = Promise.resolve();

  constructor(parts: RefillParts) {
    this.#parts = parts;
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const followed = this.#follow(signal);
    while (!signal.aborted) {
      this.#woken = new AbortController();
      await this.#pass(signal).catch((error: unknown) =>
        this.#log.warn({ why: messageOf(error) }, 'could not maintain the pools'),
      );
      const either = AbortSignal.any([signal, this.#woken.signal]);
      await pause(this.#untilNextPass(), undefined, { signal: either, ref: false }).catch(() => {});
    }
    await followed;
  }

  wake(): void {
    this.#woken.abort();
  }

  /** Leaves the pools as they are from now on. Resolves when no container is being made. */
  async settle(): Promise<void> {
    this.#settling.abort();
    await this.#making;
  }

  /**
   * Records that a container was taken. Until it is ready, no other one is created, so that its user does not wait
   * longer.
   */
  claimed(id: ContainerId): void {
    this.#claimed.set(id, setTimeout(() => this.#settled(id), CALM).unref());
  }

  /** Ends a container that has left the book. It gets no grace period, because nobody uses it. Never rejects. */
  async end(id: ContainerId, text: string): Promise<void> {
    const { tracker, kept } = this.#parts;
    const container = tracker.byId(id);
    const { dockerId } = container ?? {};
    if (!container || !dockerId) return;
    this.#ending.add(id);
    const ended = async () => {
      const end = container.end({ code: 'pool', text });
      // If this fails, the end of the container still stops it.
      await tracker.host.docker.stop(dockerId, 0).catch(() => {});
      await end;
      await kept.remove(dockerId);
    };
    try {
      await tracker.lifetime.track('ending a container of a pool', ended());
    } catch (error) {
      this.#log.error({ container: id, error }, `could not end a container of a pool: ${messageOf(error)}`);
    } finally {
      this.#ending.delete(id);
      this.wake();
    }
  }

  /** Looks up the ids of the images again. */
  async #lookAtImages(): Promise<void> {
    const { pools, tracker } = this.#parts;
    for (const kept of pools.values())
      if (kept.image !== undefined) kept.imageId = await tracker.host.docker.imageId(kept.image);
  }

  get #log() {
    return this.#parts.tracker.host.log;
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { book, tracker } = this.#parts;
    const memory = await readMemory();
    await this.#lookAtImages();
    if (this.#settling.signal.aborted) return;
    const now = monotonic();
    const { end, make } = book.steps({
      now,
      isOpen: tracker.isOpen && !signal.aborted,
      isQuiet: this.#claimed.size === 0,
      isEnding: this.#ending.size > 0,
      imageOf: (pool) => this.#parts.pools.get(pool)?.imageId,
      roomFor: (pool) => this.#roomFor(pool, now, memory),
    });
    for (const { id, why } of end) void this.end(id, why);
    if (make === undefined) return;
    book.begin(make);
    // From then on, nothing waits for an image, because that may take long.
    const needed = AbortSignal.any([signal, this.#settling.signal]);
    this.#making = this.#make(make, needed).finally(() => this.wake());
  }

  #roomFor(pool: string, now: number, memory: Memory): Room {
    const { spec, notBefore } = this.#parts.pools.get(pool) as Kept;
    if (now < notBefore) return 'blocked';
    const { limits, console, gpu } = spec.request;
    const each = limits?.memory;
    const inMemory = each === undefined ? Infinity : roomIn(memory, each);
    if (inMemory < 1) return 'short';
    const resources = poolsOf(this.#parts.tracker.host).filter(
      ({ name }) => !(name === 'consoles' && console === false) && !(name === 'gpus' && gpu === false),
    );
    // There must be memory for two, so that a pool does not create a container that it would have to give up at once.
    return inMemory >= 2 && resources.every(({ fits }) => fits > 0) ? 'more' : 'none';
  }

  async #make(pool: string, signal: AbortSignal): Promise<void> {
    const { book, pools, tracker, kept, findImage } = this.#parts;
    const own = pools.get(pool) as Kept;
    const { request, pull } = own.spec;
    try {
      const find = async (image: string) => {
        own.image = await findImage(image, pull, signal);
        return own.image;
      };
      const made = spinUp(tracker, kept, request, find, pool);
      const { id, dockerId } = await tracker.lifetime.track('making a container of a pool', made);
      const found = dockerId && (await tracker.host.docker.inspect(dockerId));
      book.made({ id, image: found?.image ?? '', since: monotonic() });
      own.failures = 0;
      own.lastError = undefined;
      // It may have ended or been assigned before the book knew it.
      this.#loseIfGone(id);
    } catch (error) {
      book.failed();
      own.lastError = messageOf(error);
      own.notBefore = monotonic() + backoff(own.failures++, PAUSE);
      if (!signal.aborted) this.#log.warn({ pool, why: own.lastError }, 'could not fill a pool');
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { book, tracker } = this.#parts;
    for await (const event of tracker.host.events.follow(undefined, signal)) {
      if (event === MISSED) for (const id of book.ids) this.#loseIfGone(id);
      else if (!isOfHealth(event)) this.#see(event.container);
    }
  }

  #see({ id, state }: Pick<ContainerView, 'id' | 'state'>): void {
    if (state === 'ready' || state === 'ending') this.#settled(id);
    if (state !== 'assigned' && state !== 'ending') return;
    if (!this.#parts.book.has(id)) return;
    this.#parts.book.lose(id);
    this.wake();
  }

  #settled(id: ContainerId): void {
    clearTimeout(this.#claimed.get(id));
    if (this.#claimed.delete(id)) this.wake();
  }

  #loseIfGone(id: ContainerId): void {
    const container = this.#parts.tracker.byId(id);
    if (container?.view.state !== 'running') this.#parts.book.lose(id);
  }

  /** Milliseconds until the next attempt is allowed, or until the next container is too old. */
  #untilNextPass(): number {
    const now = monotonic();
    const due = [
      ...this.#parts.book.due,
      ...[...this.#parts.pools.values()].map(({ notBefore }) => notBefore),
    ];
    return Math.min(BETWEEN_PASSES, ...due.filter((time) => time > now).map((time) => time - now));
  }
}
