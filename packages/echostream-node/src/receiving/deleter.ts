/**
 * Deletes handled messages in batches. Batches are sent one after another, so within a group an earlier message is never
 * deleted after a later one, unless SQS fails a single entry.
 */

import { backoff, type Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { BATCH, type EntryResult, type Queue, QueueGone } from '../queue.ts';
import type { Held } from './held.ts';

/** Milliseconds that a handled message waits to share a batch with others. */
const PATIENCE = 100;

export interface DeleterOptions {
  readonly queue: Queue;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The message is deleted, or cannot be deleted and will be delivered again. */
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

  /** The group of a handled message waits: deletes it together with others that are handled in this turn of the event loop. */
  hurry(): void {
    setImmediate(() => this.flush());
  }

  /** Sends what is queued without waiting for more. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.flush();
    });
  }

  /** Resolves when each added message is deleted or cannot be deleted. */
  async settle(): Promise<void> {
    this.flush();
    while (this.#running) await this.#running;
  }

  /** Drops the deletions that are not done yet. */
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

  /** @returns the messages whose deletion failed and may succeed with a retry */
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
      // The message was delivered again meanwhile: the new receipt is the valid one.
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
