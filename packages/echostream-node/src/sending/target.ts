/**
 * One edge to which a node sends. Messages that arrive while a batch is in progress go into the next one, so a lone message
 * does not wait, and many messages share a call.
 *
 * INVARIANTS
 * - One batch is in progress at a time. Failed messages are sent before later ones. So messages of a group keep their order,
 *   unless SQS fails a single entry of a batch and accepts later ones.
 * - Each message has its own deduplication id, its tracking id, so a retried call sends nothing twice.
 */

import { backoff, type Clock } from '../clock.ts';
import { EchoStreamError, messageOf } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { type Attributes, bytesOf, type Message, tooLarge } from '../message.ts';
import { BATCH, type EntryResult, type Outgoing, type Queue, QueueGone } from '../queue.ts';

/** SQS's default limit, for a message and for a batch. */
const USUAL_LARGEST = 262_144;
const ATTEMPTS = 8;

export interface TargetOptions {
  /** The name of the node at the other end. */
  readonly name: string;
  readonly queue: Queue;
  /** For messages without a group. */
  readonly defaultGroup: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRetry: (count: number) => void;
}

interface Pending {
  readonly outgoing: Outgoing;
  readonly bytes: number;
  attempts: number;
  readonly resolve: (messageId: string | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class Target {
  readonly #options: TargetOptions;
  #pending: Pending[] = [];
  #isRunning = false;
  readonly #unsettled = new Set<Promise<unknown>>();
  #largest: Promise<number> | undefined;
  readonly #closed = new AbortController();

  constructor(options: TargetOptions) {
    this.#options = options;
  }

  /**
   * Resolves with SQS's id of the message when SQS has accepted it.
   * @throws EchoStreamError MESSAGE_TOO_LARGE, SEND_FAILED, NODE_STOPPED
   */
  send(message: Message, trace: Attributes = {}): Promise<string | undefined> {
    const sent = this.#enqueue(message, trace);
    this.#unsettled.add(sent);
    const forget = (): void => void this.#unsettled.delete(sent);
    sent.then(forget, forget);
    return sent;
  }

  /** Resolves when nothing is left to send. */
  async settle(): Promise<void> {
    while (this.#unsettled.size > 0) await Promise.allSettled(this.#unsettled);
  }

  /** Rejects the messages that are not sent yet. */
  close(): void {
    this.#closed.abort();
    for (const { reject } of this.#pending.splice(0)) reject(this.#stopped());
  }

  async #enqueue(message: Message, trace: Attributes): Promise<string | undefined> {
    const attributes = { ...message.attributes, ...trace };
    const bytes = bytesOf(message.body, attributes);
    const largest = await this.#largestMessage();
    if (bytes > largest) throw tooLarge(message, largest, `the queue of ${this.#options.name}`);
    if (this.#closed.signal.aborted) throw this.#stopped();
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    const outgoing = {
      body: message.body,
      attributes,
      group: message.groupId ?? this.#options.defaultGroup,
      deduplicationId: message.trackingId,
    };
    this.#pending.push({ outgoing, bytes, attempts: 0, resolve, reject });
    if (!this.#isRunning) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Lets a caller that sends several messages at once put them into one batch.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#nextBatch(await this.#largestMessage());
      const again = await this.#send(batch);
      this.#pending.unshift(...again);
      const [first] = again;
      if (!first) continue;
      this.#options.onRetry(again.length);
      await this.#options.clock
        .sleep(backoff(first.attempts, 200, 5000), this.#closed.signal)
        .catch(() => {});
      if (this.#closed.signal.aborted) this.close();
    }
    this.#isRunning = false;
  }

  /** SQS limits the bytes of a batch too, but never below its limit for one message. */
  #nextBatch(largest: number): readonly Pending[] {
    let bytes = 0;
    const most = Math.max(largest, USUAL_LARGEST);
    const end = this.#pending.findIndex((one, i) => {
      bytes += one.bytes;
      return i === BATCH || bytes > most;
    });
    return this.#pending.splice(0, end === -1 ? this.#pending.length : end);
  }

  /** @returns the messages that failed and may succeed with a retry */
  async #send(batch: readonly Pending[]): Promise<readonly Pending[]> {
    const { queue, logger, name } = this.#options;
    let results: readonly EntryResult[];
    try {
      results = await queue.send(batch.map(({ outgoing }) => outgoing));
    } catch (error) {
      logger.warn({ error, target: name }, 'messages could not be sent yet');
      const final = error instanceof QueueGone;
      results = batch.map(() => ({ ok: false, reason: messageOf(error), final }));
    }
    return batch.filter((one, i) => {
      const result = results[i] as EntryResult;
      if (result.ok) return one.resolve(result.messageId);
      one.attempts += 1;
      if (!result.final && one.attempts < ATTEMPTS) return true;
      return one.reject(
        new EchoStreamError('SEND_FAILED', `A message could not be sent to ${name}: ${result.reason}`),
      );
    });
  }

  #stopped(): EchoStreamError {
    return new EchoStreamError(
      'NODE_STOPPED',
      `The node has stopped, so nothing more is sent to ${this.#options.name}.`,
    );
  }

  #largestMessage(): Promise<number> {
    this.#largest ??= this.#options.queue.largestMessage().catch((error: unknown) => {
      // Not every policy allows it. SQS itself refuses messages that are too large.
      this.#options.logger.debug(
        { error, target: this.#options.name },
        'the queue does not tell its largest message',
      );
      return USUAL_LARGEST;
    });
    return this.#largest;
  }
}
