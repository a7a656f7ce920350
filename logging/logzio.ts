/**
 * Sends the log to logz.io as newline-delimited JSON, in batches from a bounded queue. A full queue drops and counts
 * its oldest lines, because the newest ones explain a crash.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../errors/service-error.ts';
import { type Backoff, backoff } from '../lifetime/backoff.ts';
import { withDeadline } from '../lifetime/deadline.ts';
import type { HttpClient } from '../outgoing/http-client.ts';
import { parseLine, type Tags } from './line.ts';
import type { Outlet } from './outlets.ts';

/** In bytes. */
const QUEUE_SIZE = 8 * 1024 * 1024;
/** logz.io accepts 10 MB per request and 500,000 bytes per line. */
const BATCH_SIZE = 1024 * 1024;
const LINE_SIZE = 256 * 1024;
/** In milliseconds: between batches, for one request, and the longest pause between attempts. */
const BETWEEN = 1000;
const REQUEST = 10_000;
const AFTER_FAILURE: Backoff = { shortest: BETWEEN, longest: 60_000 };

export interface LogzIoOptions {
  readonly http: HttpClient;
  readonly url: URL;
  readonly token: string;
  /** Called when logz.io stops accepting lines, and when it accepts them again, with the number of dropped lines. */
  readonly report: (fields: object, message: string) => void;
}

export class LogzIo implements Outlet {
  tags: Tags = {};
  readonly #options: LogzIoOptions;
  readonly #url: URL;
  readonly #timer: NodeJS.Timeout;
  #queue: string[] = [];
  #size = 0;
  #underWay = 0;
  /** Counted since the start. */
  #dropped = 0;
  #failures = 0;
  #notBefore = 0;
  #sending: Promise<void> | undefined;

  constructor(options: LogzIoOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.#url.searchParams.set('token', options.token);
    this.#url.searchParams.set('type', 'ecs-host-service');
    this.#timer = setInterval(() => this.#tick(), BETWEEN).unref();
  }

  write(line: string): void {
    if (Buffer.byteLength(line) > LINE_SIZE) this.#dropped += 1;
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
    let count = 0;
    for (let size = 0; count < this.#queue.length; count += 1) {
      size += Buffer.byteLength(this.#queue[count] ?? '');
      if (size > BATCH_SIZE) break;
    }
    const batch = this.#queue.splice(0, count);
    for (const line of batch) this.#size -= Buffer.byteLength(line);
    return batch;
  }

  async #send(signal?: AbortSignal): Promise<void> {
    const batch = this.#takeBatch();
    this.#underWay = batch.length;
    try {
      const status = await this.#post(batch, signal);
      if (status >= 200 && status <= 299) return this.#taken();
      // logz.io has parsed the lines and rejected them, so a retry would fail too.
      if (status === 400 || status === 413) this.#dropped += batch.length;
      else this.#enqueue(batch, 'unshift');
      this.#failed(`it answered with status ${status}`);
    } catch (error) {
      this.#enqueue(batch, 'unshift');
      this.#failed(messageOf(error));
    } finally {
      this.#underWay = 0;
    }
  }

  async #post(batch: readonly string[], signal: AbortSignal | undefined): Promise<number> {
    const { status } = await this.#options.http.ask(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: batch.map((line) => this.#forLogzIo(line)).join(''),
      milliseconds: REQUEST,
      ...(signal && { signal }),
    });
    return status;
  }

  #forLogzIo(line: string): string {
    const { time, msg, ...rest } = parseLine(line);
    return `${JSON.stringify({ '@timestamp': time, message: msg, ...rest, ...this.tags })}\n`;
  }

  #failed(why: string): void {
    this.#failures += 1;
    this.#notBefore = performance.now() + backoff(this.#failures, AFTER_FAILURE);
    if (this.#failures === 1) this.#options.report({ why }, 'logz.io does not take the log; trying again');
  }

  #taken(): void {
    if (this.#failures > 0) this.#options.report({ dropped: this.#dropped }, 'logz.io takes the log again');
    this.#failures = 0;
  }
}
