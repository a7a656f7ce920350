/**
 * Sends the log to a service beyond this host, in batches from a bounded queue. A full queue drops and counts its
 * oldest lines, because the newest ones explain a crash.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { Outlet } from './outlets.ts';

/** The maximum size of the queue in bytes. */
const QUEUE_SIZE = 8 * 1024 * 1024;
/** Milliseconds between batches, and the longest pause between attempts. */
const BETWEEN = 1000;
const AFTER_FAILURE: Backoff = { shortest: BETWEEN, longest: 60_000 };

export interface ShippedLinesOptions {
  /** The maximum number of bytes in the lines of a batch. */
  readonly batchSize: number;
  /** The maximum number of lines in a batch. */
  readonly batchLines?: number;
  /** The maximum number of bytes of a line. A longer line is dropped. */
  readonly lineSize: number;
  /**
   * Sends a batch.
   * @returns how many of its lines were refused for good
   * @throws {RefusedError} if all of them were refused for good; after any other error, the batch is sent again
   */
  readonly post: (batch: readonly string[], signal: AbortSignal | undefined) => Promise<number>;
  /** Called when the service stops accepting lines, and when it accepts them again, with the number of dropped lines. */
  readonly report: (fields: object, message: string) => void;
  /** The messages for the two reports. */
  readonly says: { readonly failing: string; readonly again: string };
}

/** The service understood the lines and refused them, so another attempt would fail too. */
export class RefusedError extends Error {}

export class ShippedLines implements Outlet {
  readonly #options: ShippedLinesOptions;
  readonly #timer: NodeJS.Timeout;
  #queue: string[] = [];
  #size = 0;
  #underWay = 0;
  /** Counted since the start. */
  #dropped = 0;
  #failures = 0;
  #notBefore = 0;
  #sending: Promise<void> | undefined;

  constructor(options: ShippedLinesOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), BETWEEN).unref();
  }

  write(line: string): void {
    if (Buffer.byteLength(line) > this.#options.lineSize) this.#dropped += 1;
    else this.#enqueue([line]);
  }

  /** Sends the queued lines and stops, within `milliseconds`. Returns the number of lines that were not sent. */
  async drain(milliseconds: number): Promise<number> {
    clearInterval(this.#timer);
    const sendAll = async (late: AbortSignal) => {
      await this.#sending;
      while (this.#queue.length > 0 && !late.aborted) {
        if (this.#failures > 0) await pause(100, undefined, { signal: late });
        await this.#send(late);
      }
    };
    await withDeadline(milliseconds, 'draining the log', sendAll).catch(() => {});
    return this.#dropped + this.#queue.length + this.#underWay;
  }

  #tick(): void {
    if (this.#sending || this.#queue.length === 0 || performance.now() < this.#notBefore) return;
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  #enqueue(lines: readonly string[], where: 'push' | 'unshift' = 'push'): void {
    this.#queue[where](...lines);
    for (const line of lines) this.#size += Buffer.byteLength(line);
    let surplus = 0;
    while (this.#size > QUEUE_SIZE) {
      this.#size -= Buffer.byteLength(this.#queue[surplus] ?? '');
      surplus += 1;
    }
    this.#queue.splice(0, surplus);
    this.#dropped += surplus;
  }

  #takeBatch(): string[] {
    const { batchSize, batchLines = Infinity } = this.#options;
    let count = 0;
    for (let size = 0; count < Math.min(batchLines, this.#queue.length); count += 1) {
      size += Buffer.byteLength(this.#queue[count] ?? '');
      if (size > batchSize) break;
    }
    const batch = this.#queue.splice(0, count);
    for (const line of batch) this.#size -= Buffer.byteLength(line);
    return batch;
  }

  async #send(signal?: AbortSignal): Promise<void> {
    const batch = this.#takeBatch();
    this.#underWay = batch.length;
    try {
      this.#dropped += await this.#options.post(batch, signal);
      this.#taken();
    } catch (error) {
      if (error instanceof RefusedError) this.#dropped += batch.length;
      else this.#enqueue(batch, 'unshift');
      this.#failed(messageOf(error));
    } finally {
      this.#underWay = 0;
    }
  }

  #failed(why: string): void {
    const { report, says } = this.#options;
    this.#failures += 1;
    this.#notBefore = performance.now() + backoff(this.#failures, AFTER_FAILURE);
    if (this.#failures === 1) report({ why }, says.failing);
  }

  #taken(): void {
    const { report, says } = this.#options;
    if (this.#failures > 0) report({ dropped: this.#dropped }, says.again);
    this.#failures = 0;
  }
}
