/**
 * Uploads the archives in the spool to S3 and retries until that succeeds. The archives of one user and app are
 * uploaded one by one in the order in which they were saved. An archive leaves the spool when it is stored and it is
 * settled whether it is the current one.
 *
 * INVARIANTS
 * - A save replaces only the current save that its session started with, or one of its own session.
 * - Otherwise the current save stays, and the new one is stored beside it.
 */

import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { messageOf } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { unlessAborted } from '../lifetime/deadline.ts';
import type { Logger } from '../logging/logger.ts';
import { type Current, isAside, mayFollow, nameOf } from './current.ts';
import type { Seen } from './seen.ts';
import type { Entry, Spool, Waiting } from './spool.ts';
import type { ConfigStore } from './store.ts';
import { UploadRate } from './upload-rate.ts';
import { superfluous } from './versions.ts';

/** The pause before a retry. */
const PAUSE: Backoff = { shortest: 1000, longest: 5 * 60_000 };
/** The attempt whose failure is logged as an error, about half a minute after the first. */
const ATTEMPT_THAT_ALARMS = 6;
const AT_A_TIME = 3;
/** Why a save does not become current. */
const BESIDE = {
  aside: 'a container that began without the files of its user has saved: this config is kept aside',
  overtaken: 'another container of the user saved in the meantime: this save is kept beside that one',
};

type Store = Pick<ConfigStore, 'put' | 'findCurrent' | 'makeCurrent' | 'list' | 'remove'>;

export interface UploadsParts {
  readonly spool: Spool;
  readonly storeAt: (prefix: string) => Store;
  readonly seen: Seen;
  /** The number of versions that are kept for each user and app. */
  readonly keep: number;
  readonly log: Logger;
}

export class Uploads {
  readonly #parts: UploadsParts;
  readonly #atATime = pLimit(AT_A_TIME);
  readonly #queues = new Map<string, Queue>();
  readonly #tidying = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  readonly #rate = new UploadRate();

  /** Continues with the archives of earlier services. */
  constructor(parts: UploadsParts) {
    this.#parts = parts;
    for (const entry of parts.spool.list()) this.add(entry);
  }

  /** The recent upload rate in bytes per second; undefined if unknown. */
  get perSecond(): number | undefined {
    return this.#rate.perSecond;
  }

  /** Adds an entry of the spool, possibly while it grows. */
  add({ waiting: { prefix } }: Entry): void {
    const queue = this.#queues.get(prefix) ?? new Queue();
    void queue.hurry();
    if (this.#queues.has(prefix) || this.#stopped.signal.aborted) return;
    this.#queues.set(prefix, queue);
    void this.#work(prefix, queue);
  }

  /** Removes saves that a later save of all files from the same session makes superfluous. */
  async forgetBefore({ waiting }: Entry): Promise<void> {
    const { spool } = this.#parts;
    const isEarlier = (other: Waiting) =>
      other.session === waiting.session && other.sequence < waiting.sequence;
    const isBase = (other: Waiting) => nameOf(other) === waiting.version;
    const busy = this.#queues.get(waiting.prefix)?.busyWith;
    const forgotten = spool
      .list(waiting.prefix)
      .filter((entry) => isEarlier(entry.waiting) && !isBase(entry.waiting) && entry !== busy);
    for (const entry of forgotten) await spool.remove(entry);
  }

  /** Retries the archives of a user and app at once. Returns when none is left or an attempt has failed. */
  async hurry(prefix: string, signal: AbortSignal): Promise<void> {
    const queue = this.#queues.get(prefix);
    if (queue) await unlessAborted(queue.hurry(), signal);
  }

  /** Resolves when no archive is left, however long S3 is unreachable. */
  async idle(): Promise<void> {
    while (this.#queues.size > 0) await Promise.all([...this.#queues.values()].map(({ ended }) => ended));
  }

  /**
   * Tries every archive once more and then stops, at the latest when `late` aborts. The rest stays in the spool.
   * @param late aborts when the time is over
   * @returns the number of archives that are left
   */
  async finish(late: AbortSignal): Promise<number> {
    const attempts = [...this.#queues.values()].map((queue) => queue.hurry());
    await unlessAborted(Promise.all(attempts), late).catch(() => {});
    await this.stop();
    const { spool, log } = this.#parts;
    const configs = spool.list().length;
    if (configs > 0) {
      log.error({ configs, bytes: spool.bytes }, 'saved user configs stay on this host until its next start');
    }
    return configs;
  }

  /** Stops at once. The rest stays in the spool, for the next service. */
  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the service ends'));
    await Promise.all([...[...this.#queues.values()].map(({ ended }) => ended), ...this.#tidying]);
  }

  async #work(prefix: string, queue: Queue): Promise<void> {
    const { spool, log } = this.#parts;
    const { signal } = this.#stopped;
    for (let attempt = 1; !signal.aborted; ) {
      const [entry] = spool.list(prefix);
      if (!entry) break;
      try {
        await this.#atATime(() => this.#upload(entry, queue));
        if (attempt > 1) log.info('uploads of user configs to S3 work again');
        attempt = 1;
      } catch (error) {
        // A save that failed while it was packed is no longer in the spool. A stop itself reports the saves that are
        // left.
        if (!spool.has(entry) || signal.aborted) continue;
        const level = attempt === ATTEMPT_THAT_ALARMS ? 'error' : attempt === 1 ? 'warn' : 'debug';
        const { length: configs } = spool.list();
        log[level](
          { why: messageOf(error), configs, bytes: spool.bytes },
          'a saved user config waits for S3',
        );
        await queue.wait(attempt++, signal);
      }
    }
    this.#queues.delete(prefix);
    queue.end();
    const tidied = this.#tidy(prefix, signal).then(() => void this.#tidying.delete(tidied));
    this.#tidying.add(tidied);
  }

  async #upload(entry: Entry, queue: Queue): Promise<void> {
    const { spool, storeAt, seen, log } = this.#parts;
    if (!spool.has(entry)) return;
    const { waiting, file } = entry;
    const { signal } = this.#stopped;
    const store = storeAt(waiting.prefix);
    queue.busyWith = entry;
    try {
      await this.#rate.of(
        () => file.bytes,
        () => store.put(nameOf(waiting), file, signal),
      );
      const became = await placeOf(store, waiting, signal);
      const { generation } = waiting;
      if (became === 'current' && generation) await seen.note(waiting.prefix, { ...waiting, generation });
      await spool.remove(entry);
      const of = { session: waiting.session, version: nameOf(waiting), bytes: file.bytes };
      if (became === 'current') log.info(of, 'stored a user config');
      else log.warn(of, BESIDE[became]);
    } finally {
      queue.busyWith = undefined;
    }
  }

  /** Leftover objects are harmless, and the next run finds them again. */
  async #tidy(prefix: string, signal: AbortSignal): Promise<void> {
    const { storeAt, keep, log } = this.#parts;
    const store = storeAt(prefix);
    try {
      const objects = await store.list(signal);
      const current = await store.findCurrent(signal);
      for (const name of superfluous(objects, current?.current, keep)) await store.remove(name, signal);
    } catch (error) {
      if (!signal.aborted)
        log.warn({ why: messageOf(error) }, 'could not remove old versions of a user config');
    }
  }
}

/** The uploads of one user and app. */
class Queue {
  readonly #end = Promise.withResolvers<void>();
  #failed = Promise.withResolvers<void>();
  #hurry = new AbortController();
  busyWith: Entry | undefined;

  get ended(): Promise<void> {
    return this.#end.promise;
  }

  end(): void {
    this.#end.resolve();
  }

  /** Resolves when an attempt has failed or all work is done. */
  hurry(): Promise<void> {
    this.#hurry.abort();
    return Promise.race([this.#failed.promise, this.ended]);
  }

  /** Waits until the next attempt is due or `hurry` is called. */
  async wait(attempt: number, signal: AbortSignal): Promise<void> {
    this.#failed.resolve();
    this.#failed = Promise.withResolvers();
    this.#hurry = new AbortController();
    // The random factor keeps hosts that lost S3 together from retrying together.
    const milliseconds = backoff(attempt - 1, PAUSE) * (0.5 + Math.random() / 2);
    await pause(milliseconds, undefined, {
      signal: AbortSignal.any([signal, this.#hurry.signal]),
      ref: false,
    }).catch(() => {});
  }
}

/** Makes the save current if that is allowed. */
async function placeOf(
  store: Store,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<'current' | 'aside' | 'overtaken'> {
  const { version, changes, session, sequence, basis, generation } = waiting;
  if (isAside(version)) return 'aside';
  for (;;) {
    const found = await store.findCurrent(signal);
    if (!mayFollow(waiting, basis, found?.current)) return 'overtaken';
    const next: Current = {
      version,
      session,
      sequence,
      ...(changes && { changes }),
      ...(generation && { generation }),
    };
    if (await store.makeCurrent(next, found, signal)) return 'current';
  }
}
