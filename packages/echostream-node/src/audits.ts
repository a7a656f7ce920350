/**
 * Audit records: what happened to each message, for the tenant's audit trail. They are delivered in batches.
 *
 * INVARIANT: at most `MOST` records wait. Further callers wait, so an outage costs time and not memory.
 */

import { backoff, type Clock } from './clock.ts';
import { messageOf } from './errors.ts';
import type { Logger } from './logger.ts';

/** Returns the attributes of a message's audit record from the message's body. */
export type Auditor = (body: string) => Readonly<Record<string, unknown>>;

export interface AuditRecord {
  readonly datetime: string;
  readonly previousTrackingIds: readonly string[] | null;
  readonly sourceNode: string | null;
  readonly trackingId: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** Delivers a batch. Rejects with `Refused` if a retry is useless, and with `TooLarge` if a smaller batch may be accepted. */
export type Deliver = (body: { messageType: string; auditRecords: readonly AuditRecord[] }) => Promise<void>;

export class Refused extends Error {}
export class TooLarge extends Refused {}

const BATCH = 500;
const MOST = 10_000;
/** Milliseconds that a record waits for others. */
const PATIENCE = 100;

export interface AuditsOptions {
  readonly messageType: string;
  readonly deliver: Deliver;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onEnd: (count: number, outcome: 'delivered' | 'dropped') => void;
}

/** The records of one message type. */
export class Audits {
  readonly #options: AuditsOptions;
  #records: AuditRecord[] = [];
  #running: Promise<void> | undefined;
  #flush = Promise.withResolvers<void>();
  readonly #waiting: (() => void)[] = [];
  readonly #closed = new AbortController();

  constructor(options: AuditsOptions) {
    this.#options = options;
  }

  /** Resolves when the record is queued for delivery. */
  async add(record: AuditRecord): Promise<void> {
    while (this.#records.length >= MOST && !this.#closed.signal.aborted) {
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    }
    if (this.#closed.signal.aborted) return this.#drop(1, 'the node has stopped');
    this.#records.push(record);
    this.#running ??= this.#run();
  }

  /** Resolves when all added records are delivered. */
  async settle(): Promise<void> {
    while (this.#running) {
      this.#flush.resolve();
      await this.#running;
    }
  }

  /** Drops undelivered records, and logs their number. */
  close(): void {
    this.#closed.abort();
    if (this.#records.length > 0) this.#drop(this.#records.splice(0).length, 'the node has stopped');
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    this.#flush = Promise.withResolvers();
    await Promise.race([this.#flush.promise, clock.sleep(PATIENCE, this.#closed.signal).catch(() => {})]);
    let size = BATCH;
    for (let attempt = 0; this.#records.length > 0; ) {
      const batch = this.#records.slice(0, size);
      const outcome = await this.#deliver(batch);
      if (outcome === 'too large') size = Math.ceil(batch.length / 2);
      else if (outcome === 'done') {
        attempt = 0;
        size = Math.min(2 * size, BATCH);
        this.#records.splice(0, batch.length);
        for (const goOn of this.#waiting.splice(0, batch.length)) goOn();
      } else {
        attempt += 1;
        await clock.sleep(backoff(attempt), this.#closed.signal).catch(() => {});
      }
    }
    this.#running = undefined;
  }

  /** A batch can be done without success. */
  async #deliver(auditRecords: readonly AuditRecord[]): Promise<'done' | 'too large' | 'not yet'> {
    const { deliver, messageType, logger, onEnd } = this.#options;
    try {
      await deliver({ messageType, auditRecords });
      onEnd(auditRecords.length, 'delivered');
      return 'done';
    } catch (error) {
      if (error instanceof TooLarge && auditRecords.length > 1) return 'too large';
      if (error instanceof Refused) {
        this.#drop(auditRecords.length, messageOf(error));
        return 'done';
      }
      logger.warn({ error, messageType }, 'audit records could not be delivered yet');
      return 'not yet';
    }
  }

  #drop(count: number, reason: string): void {
    const { logger, messageType, onEnd } = this.#options;
    logger.error({ count, messageType, reason }, 'audit records were dropped');
    onEnd(count, 'dropped');
  }
}
