/**
 * The bookkeeping of the pools: which containers are ready, which of them must end, and which pool gets the next one.
 * It has no clock and does no I/O, so that tests can check its promises for any order of events.
 *
 * INVARIANTS
 * - A container is in the book from the moment it is ready until it is taken, ended or lost. It never comes back.
 * - Nobody gets a container of another shape, of another image, or of a pool that was removed.
 * - At most one container is being created at a time.
 */

import type { ContainerId } from '../identity.ts';

/** The properties of a pool that the book needs. */
export interface Wanted {
  /** The number of containers that are kept ready. */
  readonly size: number;
  /** Milliseconds after which a container is replaced. */
  readonly maxAge: number;
  /** Two pools with equal texts have the same shape. */
  readonly shape: string;
}

/** A container that is ready. */
export interface Entry {
  readonly id: ContainerId;
  readonly pool: string;
  readonly shape: string;
  /** The id of the image that it was created from. */
  readonly image: string;
  /** When it became ready, by the clock of `Circumstances.now`. */
  readonly since: number;
}

/**
 * Whether a pool can get another container. `more`: yes. `none`: the host has no room. `short`: the pool must also give
 * one up. `blocked`: the last attempt failed, and it is too early for another one.
 */
export type Room = 'more' | 'none' | 'short' | 'blocked';

/** The state of the host, on which the next steps depend. */
export interface Circumstances {
  /** Milliseconds of a monotonic clock. */
  readonly now: number;
  /** Whether the host accepts new containers. */
  readonly isOpen: boolean;
  /** Whether no container is being claimed at this moment. */
  readonly isQuiet: boolean;
  /** Whether a container that has left the book is still releasing its resources. */
  readonly isEnding: boolean;
  /** The id of the image that the pool's image name refers to now; undefined: unknown. */
  readonly imageOf: (pool: string) => string | undefined;
  readonly roomFor: (pool: string) => Room;
}

export interface Steps {
  /** The containers to end. They are no longer in the book. */
  readonly end: readonly { readonly id: ContainerId; readonly why: string }[];
  /** The pool that gets the next container. */
  readonly make: string | undefined;
}

export class Book {
  readonly #pools = new Map<string, Wanted>();
  readonly #entries = new Map<ContainerId, Entry>();
  #making: Pick<Entry, 'pool' | 'shape'> | undefined;

  set(pool: string, wanted: Wanted): void {
    this.#pools.set(pool, wanted);
  }

  delete(pool: string): void {
    this.#pools.delete(pool);
  }

  has(id: ContainerId): boolean {
    return this.#entries.has(id);
  }

  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** Adds a ready container of the previous service. */
  restore(entry: Entry): void {
    this.#entries.set(entry.id, entry);
  }

  get ids(): readonly ContainerId[] {
    return [...this.#entries.keys()];
  }

  /** The containers of the pool that have its shape, oldest first. */
  of(pool: string): Entry[] {
    const shape = this.#pools.get(pool)?.shape;
    return [...this.#entries.values()].filter((one) => one.pool === pool && one.shape === shape);
  }

  isMaking(pool: string): boolean {
    return this.#making?.pool === pool && this.#making.shape === this.#pools.get(pool)?.shape;
  }

  /** When each pool's oldest container reaches the maximum age. */
  get due(): number[] {
    return [...this.#pools].flatMap(([pool, { maxAge }]) => {
      const [oldest] = this.of(pool);
      return oldest ? [oldest.since + maxAge] : [];
    });
  }

  /** Records that a container for the pool is being created. Then either `made` or `failed` must be called. */
  begin(pool: string): void {
    this.#making = { pool, shape: this.#pools.get(pool)?.shape ?? '' };
  }

  made(made: Pick<Entry, 'id' | 'image' | 'since'>): void {
    if (this.#making) this.#entries.set(made.id, { ...this.#making, ...made });
    this.#making = undefined;
  }

  failed(): void {
    this.#making = undefined;
  }

  /** Takes the oldest container of the pool that was created from this image. */
  take(pool: string, image: string): ContainerId | undefined {
    const entry = this.of(pool).find((one) => one.image === image);
    if (entry) this.#entries.delete(entry.id);
    return entry?.id;
  }

  /** Removes a container that has ended, or that was assigned by its id or its port. */
  lose(id: ContainerId): void {
    this.#entries.delete(id);
  }

  /** Gives up the newest container of all pools, because another container needs its resources. */
  giveUp(): ContainerId | undefined {
    const id = this.ids.at(-1);
    if (id) this.lose(id);
    return id;
  }

  steps(now: Circumstances): Steps {
    const end = this.ids.flatMap((id) => {
      const why = this.#whyUnfit(this.#entries.get(id) as Entry, now);
      return why === undefined ? [] : [{ id, why }];
    });
    for (const { id } of end) this.lose(id);
    for (const pool of this.#pools.keys()) end.push(...this.#surplusOf(pool, now));
    return { end, make: this.#next(now) };
  }

  #whyUnfit({ pool, shape, image }: Entry, { isOpen, imageOf }: Circumstances): string | undefined {
    if (!isOpen) return 'the host accepts no more containers';
    const wanted = this.#pools.get(pool);
    if (!wanted) return 'its pool was removed';
    if (wanted.shape !== shape) return 'its pool has changed';
    return image === (imageOf(pool) ?? image) ? undefined : 'its image has changed';
  }

  #surplusOf(pool: string, now: Circumstances): Steps['end'] {
    const { size } = this.#pools.get(pool) as Wanted;
    const [kept, surplus] = [this.of(pool).slice(0, size), this.of(pool).slice(size)];
    const end = surplus.map(({ id }) => ({ id, why: 'its pool has become smaller' }));
    const isShort = now.roomFor(pool) === 'short' && !now.isEnding;
    const [oldest, newest] = [kept[0], kept.at(-1)];
    if (isShort && newest) end.push({ id: newest.id, why: 'the memory of the host runs short' });
    else if (oldest && this.#isToReplace(oldest, kept.length, now))
      end.push({ id: oldest.id, why: 'it has reached the maximum age of its pool' });
    for (const { id } of end) this.lose(id);
    return end;
  }

  /**
   * Old containers are replaced one by one, so that a pool stays filled even if all its containers have the same age.
   */
  #isToReplace({ pool, since }: Entry, count: number, now: Circumstances): boolean {
    const { size, maxAge } = this.#pools.get(pool) as Wanted;
    const room = now.roomFor(pool);
    const isFilled = count === size || room === 'none';
    const isCalm = now.isQuiet && !now.isEnding && this.#making === undefined;
    return now.now - since >= maxAge && isFilled && isCalm && room !== 'blocked';
  }

  /** The emptiest pool comes first. A pool that is empty cannot slow a claim, so it does not wait for quiet. */
  #next({ isOpen, isQuiet, roomFor }: Circumstances): string | undefined {
    if (!isOpen || this.#making) return undefined;
    const lacking = [...this.#pools].flatMap(([pool, { size }]) => {
      const { length } = this.of(pool);
      const may = length < size && (isQuiet || length === 0) && roomFor(pool) === 'more';
      return may ? [{ pool, filled: length / size }] : [];
    });
    return lacking.sort((a, b) => a.filled - b.filled)[0]?.pool;
  }
}
