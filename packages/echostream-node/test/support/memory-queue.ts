/**
 * A FIFO queue in memory with SQS's rules: a group is locked while one of its messages is in flight, an old receipt is invalid,
 * a second message with the same deduplication id is dropped, and a retried receive attempt gets the same messages. `fault`
 * decides how each call fails.
 */

import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import type { EntryResult, Outgoing, Queue, Received, ReceiveRequest } from '../../src/queue.ts';

export type Operation = 'receive' | 'delete' | 'changeVisibility' | 'send';

export interface Fault {
  /** Before: nothing happened. After: the call was executed, but the answer is lost. Entry: one entry fails. */
  readonly kind: 'none' | 'before' | 'after' | 'entry';
  /** Milliseconds until the call takes effect, and then until the answer. */
  readonly latency?: number;
}

interface Stored extends Outgoing {
  readonly id: string;
  receipt: string | undefined;
  visibleAt: number;
  receiveCount: number;
}

export class MemoryQueue implements Queue {
  readonly #clock: Clock;
  readonly #fault: (operation: Operation) => Fault;
  readonly #attempts = new Map<string, readonly string[]>();
  readonly #deduplicated = new Set<string>();
  #change = Promise.withResolvers<void>();
  messages: Stored[] = [];
  readonly calls: Operation[] = [];
  largest = 262_144;

  constructor(clock: Clock, fault: (operation: Operation) => Fault = () => ({ kind: 'none' })) {
    this.#clock = clock;
    this.#fault = fault;
  }

  put(group: string, body: string): void {
    this.#store({ group, body, attributes: {}, deduplicationId: randomUUID() });
  }

  /** Ends the visibility timeout of all messages in flight, as time would. */
  expire(): void {
    for (const message of this.messages) message.visibleAt = 0;
    this.#changed();
  }

  receive({
    attemptId,
    waitSeconds,
    visibilitySeconds,
    signal,
  }: ReceiveRequest): Promise<readonly Received[]> {
    return this.#call('receive', async () => {
      const end = this.#clock.now() + waitSeconds * 1000;
      for (;;) {
        signal?.throwIfAborted();
        const found = this.#again(attemptId) ?? this.#take(attemptId, visibilitySeconds);
        if (found.length > 0 || this.#clock.now() >= end) return found.map(receivedOf);
        await this.#untilChange(end, signal);
      }
    });
  }

  delete(receipts: readonly string[]): Promise<readonly EntryResult[]> {
    return this.#batch('delete', receipts, (receipt) => {
      const message = this.#inFlight(receipt);
      if (message) this.messages = this.messages.filter((one) => one !== message);
      return message !== undefined;
    });
  }

  changeVisibility(
    changes: readonly (readonly [receipt: string, seconds: number])[],
  ): Promise<readonly EntryResult[]> {
    return this.#batch('changeVisibility', changes, ([receipt, seconds]) => {
      const message = this.#inFlight(receipt);
      if (message) message.visibleAt = this.#clock.now() + seconds * 1000;
      return message !== undefined;
    });
  }

  send(messages: readonly Outgoing[]): Promise<readonly EntryResult[]> {
    return this.#batch('send', messages, (message) => {
      this.#store(message);
      return true;
    });
  }

  async largestMessage(): Promise<number> {
    return this.largest;
  }

  /** Resolves when a message is put, deleted or returned, when a visibility timeout ends, or when the time is over. */
  async #untilChange(end: number, signal?: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    const next = Math.min(end, ...this.messages.map(({ visibleAt }) => visibleAt).filter((at) => at > now));
    const over = new AbortController();
    const signals = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
    await Promise.race([this.#change.promise, this.#clock.sleep(next - now, signals).catch(() => {})]);
    over.abort();
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #store(message: Outgoing): void {
    if (this.#deduplicated.has(message.deduplicationId)) return;
    this.#deduplicated.add(message.deduplicationId);
    this.messages.push({ ...message, id: randomUUID(), receipt: undefined, visibleAt: 0, receiveCount: 0 });
    this.#changed();
  }

  #take(attemptId: string, visibilitySeconds: number): readonly Stored[] {
    const now = this.#clock.now();
    const locked = new Set(
      this.messages.filter(({ visibleAt }) => visibleAt > now).map(({ group }) => group),
    );
    const taken = this.messages.filter(({ group }) => !locked.has(group)).slice(0, 10);
    for (const message of taken) {
      message.receipt = randomUUID();
      message.visibleAt = now + visibilitySeconds * 1000;
      message.receiveCount += 1;
    }
    if (taken.length > 0)
      this.#attempts.set(
        attemptId,
        taken.map(({ receipt }) => receipt as string),
      );
    return taken;
  }

  /** The messages of an earlier answer to the same attempt, if they have not changed since. */
  #again(attemptId: string): readonly Stored[] | undefined {
    const found = this.#attempts.get(attemptId)?.map((receipt) => this.#inFlight(receipt));
    if (!found || found.includes(undefined)) return undefined;
    return found as Stored[];
  }

  #inFlight(receipt: string): Stored | undefined {
    const now = this.#clock.now();
    return this.messages.find((one) => one.receipt === receipt && one.visibleAt > now);
  }

  #batch<T>(operation: Operation, entries: readonly T[], act: (entry: T) => boolean): Promise<EntryResult[]> {
    if (entries.length < 1 || entries.length > 10) throw new Error(`a batch of ${entries.length} entries`);
    return this.#call(operation, async (fault) => {
      const results = entries.map((entry, i): EntryResult => {
        if (fault.kind === 'entry' && i === 0) return { ok: false, reason: 'InternalError', final: false };
        return act(entry)
          ? { ok: true, messageId: '' }
          : { ok: false, reason: 'ReceiptHandleIsInvalid', final: true };
      });
      this.#changed();
      return results;
    });
  }

  async #call<T>(operation: Operation, act: (fault: Fault) => Promise<T>): Promise<T> {
    this.calls.push(operation);
    const fault = this.#fault(operation);
    await this.#clock.sleep(fault.latency ?? 1);
    if (fault.kind === 'before') throw new Error(`${operation}: the connection was refused`);
    const answer = await act(fault);
    await this.#clock.sleep(fault.latency ?? 1);
    if (fault.kind === 'after') throw new Error(`${operation}: the connection was reset`);
    return answer;
  }
}

function receivedOf({ id, receipt, body, attributes, group, receiveCount }: Stored): Received {
  return { id, receipt: receipt as string, body, attributes, group, receiveCount };
}
