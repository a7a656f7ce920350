/**
 * Keeps held messages invisible to other consumers, and returns messages that the node cannot handle.
 *
 * INVARIANTS
 * - Changes are sent one batch after another, so an extension cannot undo a return that was requested after it.
 * - Whether a message is lost is decided for the delivery in the request, because it may have been delivered again meanwhile.
 */

import { backoff, type Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { batches, type EntryResult, type Queue } from '../queue.ts';
import type { Held } from './held.ts';

/** SQS shows a message again after twelve hours, whatever is requested. */
const LONGEST = 12 * 3600;
/** Milliseconds after which a failed extension is retried. */
const SOON = 1000;
/** How often messages are given back before they are left to their visibility timeout. */
const ATTEMPTS = 3;

type Change = readonly [held: Held, seconds: number];

export interface VisibilityOptions {
  readonly queue: Queue;
  readonly seconds: number;
  readonly held: ReadonlyMap<string, Held>;
  readonly onLost: (held: Held) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Visibility {
  readonly #options: VisibilityOptions;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: VisibilityOptions) {
    this.#options = options;
  }

  /** Extends the visibility timeout of held messages until the signal aborts. */
  async beatUntil(signal: AbortSignal): Promise<void> {
    const third = (this.#options.seconds * 1000) / 3;
    let pause = third;
    while (!signal.aborted) {
      await this.#options.clock.sleep(pause, signal).catch(() => {});
      if (signal.aborted) return;
      pause = (await this.#beat(third)) ? third : Math.min(SOON, third);
    }
  }

  /** Makes messages visible again, each after its number of seconds, in this order. */
  async giveBack(changes: readonly Change[]): Promise<void> {
    const { clock, logger, held } = this.#options;
    for (let [attempt, left] = [1, changes]; ; attempt += 1) {
      const failed = (await Promise.all(batches(left).map((batch) => this.#return(batch)))).flat();
      if (failed.length === 0) return;
      if (attempt === ATTEMPTS) {
        const ids = failed.map(([{ id }]) => id);
        return logger.warn(
          { ids },
          'messages could not be given back; they return when their visibility times out',
        );
      }
      await clock.sleep(backoff(attempt, 50, 1000));
      // The others are back already, because their visibility has timed out or only the answer was lost.
      left = failed.filter(([{ id, expiresAt }]) => clock.now() < expiresAt && !held.has(id));
    }
  }

  /** @returns the changes that a retry may still make */
  async #return(batch: readonly Change[]): Promise<readonly Change[]> {
    const { clock, logger } = this.#options;
    try {
      const results = await this.#inTurn(batch, (held, seconds) =>
        Math.min(seconds, longest(held, clock.now())),
      );
      return batch.filter((_, i) => {
        const result = results[i] as EntryResult;
        return !result.ok && !result.final;
      });
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'messages could not be given back yet');
      return batch;
    }
  }

  async #beat(third: number): Promise<boolean> {
    const { held, clock, logger, onLost, seconds } = this.#options;
    const now = clock.now();
    const all = [...held.values()].filter(({ lost }) => !lost);
    for (const one of all.filter(({ expiresAt }) => now >= expiresAt)) onLost(one);
    const due = all
      .filter(({ lost, extendedAt }) => !lost && now - extendedAt >= third * 0.9)
      .map((one) => [one, Math.min(seconds, longest(one, now))] as const)
      .filter(([, wanted]) => wanted > 0);
    let good = true;
    for (const batch of batches(due)) {
      try {
        good = (await this.#extend(batch)) && good;
      } catch (error) {
        logger.warn({ error: messageOf(error) }, 'the visibility of messages could not be extended');
        good = false;
      }
    }
    return good;
  }

  async #extend(batch: readonly Change[]): Promise<boolean> {
    const { held, clock, onLost } = this.#options;
    const receipts = batch.map(([{ receipt }]) => receipt);
    const asked = clock.now();
    const results = await this.#inTurn(batch, (_, seconds) => seconds);
    for (const [i, [one, seconds]] of batch.entries()) {
      const result = results[i] as EntryResult;
      const current = held.get(one.id) === one && one.receipt === receipts[i];
      if (!current) continue;
      if (result.ok) one.extended(asked, seconds * 1000);
      else if (result.final) onLost(one);
    }
    return results.every((result) => result.ok || result.final);
  }

  async #inTurn(
    batch: readonly Change[],
    seconds: (held: Held, wanted: number) => number,
  ): Promise<readonly EntryResult[]> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await this.#options.queue.changeVisibility(
        batch.map(([held, wanted]) => [held.receipt, seconds(held, wanted)] as const),
      );
    } finally {
      resolve();
    }
  }
}

/** Seconds for which a message can still be kept invisible. */
function longest({ deliveredAt }: Held, now: number): number {
  return Math.max(0, LONGEST - Math.ceil((now - deliveredAt) / 1000));
}
