/**
 * Deletes handled messages, in batches. One batch is sent after another, so within a group an earlier message is
 * never deleted after a later one, unless SQS fails a single entry.
 */

import { backoff, type Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { BATCH, type EntryResult, type Queue, QueueGone } from '../queue.ts';
import type { Held } from './held.ts';

/** Milliseconds that a handled message waits for others to be deleted with. */
const PATIENCE = 100;

export interface DeleterOptions {
  readonly queue: Queue;
  readonly clock: Clock;
  readonly logger: Logger;
  /** It is deleted, or cannot be: then it will come again. */
  readonly onEnd: (held: Held, deleted: boolean) => void;
  readonly onRetry: (count: number) => void;
}

export class Deleter {
  readonly #options: DeleterOptions;
  #pending: Held[] = [];
  #running: Promise<void> | undefined;
  #timer = false;
  readonly #abandoned = new AbortController();

  constructor(options: DeleterOptions) {
    this.#options = options;
  }

  add(held: Held): void {
    this.#pending.push(held);
    if (this.#pending.length >= BATCH) this.flush();
    else if (!this.#running && !this.#timer) void this.#flushSoon();
  }

  /** The group of a handled message waits: deletes it with what else is handled in this turn of the event loop. */
  hurry(): void {
    setImmediate(() => this.flush());
  }

  /** Sends what there is without waiting for more. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.flush();
    });
  }

  /** Resolves when all that was added is deleted or cannot be. */
  async settle(): Promise<void> {
    this.flush();
    while (this.#running) await this.#running;
  }

  /** Gives up what is not deleted yet. */
  abandon(): void {
    this.#abandoned.abort();
    for (const held of this.#pending.splice(0)) this.#options.onEnd(held, false);
  }

  async #flushSoon(): Promise<void> {
    this.#timer = true;
    await this.#options.clock.sleep(PATIENCE, this.#abandoned.signal).catch(() => {});
    this.#timer = false;
    this.flush();
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#pending.length > 0; ) {
      const batch = this.#pending.splice(0, BATCH);
      const again = await this.#delete(batch);
      if (again.length === 0) {
        failures = 0;
        continue;
      }
      if (this.#abandoned.signal.aborted) {
        for (const held of again) this.#options.onEnd(held, false);
        return;
      }
      this.#pending.unshift(...again);
      this.#options.onRetry(again.length);
      failures += 1;
      await this.#options.clock.sleep(backoff(failures, 100, 5000), this.#abandoned.signal).catch(() => {});
    }
  }

  /** What is worth another attempt. */
  async #delete(batch: readonly Held[]): Promise<readonly Held[]> {
    const { queue, logger, onEnd } = this.#options;
    const receipts = batch.map(({ receipt }) => receipt);
    let results: readonly EntryResult[];
    try {
      results = await queue.delete(receipts);
    } catch (error) {
      logger.warn({ error }, 'handled messages could not be deleted yet');
      const final = error instanceof QueueGone;
      results = batch.map(() => ({ ok: false, reason: String(error), final }));
    }
    return batch.filter((held, i) => {
      const result = results[i] as EntryResult;
      if (result.ok) return onEnd(held, true);
      // It has come again meanwhile: the new receipt is the one that counts.
      if (held.receipt !== receipts[i]) return true;
      if (!result.final && !held.lost) return true;
      logger.warn(
        { id: held.id, reason: result.reason },
        'a handled message could not be deleted; it will come again',
      );
      return onEnd(held, false);
    });
  }
}
