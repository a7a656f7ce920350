/**
 * One edge from which a node receives: it polls the queue, has each message handled, and deletes it.
 *
 * INVARIANTS
 * - A handler starts only when the handlers of all earlier messages of its group have succeeded.
 * - A handler starts only while SQS keeps the message invisible for this node.
 * - The node polls only while a slot is free, so messages wait in the queue and not in memory.
 * - A handled message that is delivered to this process again, because it could not be deleted, is deleted and not handled
 *   again.
 */

import { randomUUID } from 'node:crypto';
import { before } from '../before.ts';
import { backoff, type Clock } from '../clock.ts';
import { EchoStreamError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { MessageType } from '../message.ts';
import { BATCH, type Queue, QueueGone, type Received } from '../queue.ts';
import { Changed } from './changed.ts';
import { Deleter } from './deleter.ts';
import { type Delivery, Held } from './held.ts';
import type { Slots } from './slots.ts';
import { Visibility } from './visibility.ts';

const WAIT_SECONDS = 20;
/** The number of remembered messages that were handled and could not be deleted. */
const REMEMBERED = 10_000;

export interface SourceOptions {
  /** The name of the node at the other end. */
  readonly name: string;
  readonly queue: Queue;
  readonly messageType: MessageType;
  readonly slots: Slots;
  readonly concurrency: number;
  readonly visibilitySeconds: number;
  /** Rejects if the message must be delivered again. */
  readonly handle: (delivery: Held) => Promise<unknown>;
  /** Seconds until an unhandled message becomes visible again. */
  readonly backoff: (delivery: Delivery, error: unknown) => number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRetry: (operation: 'receive' | 'delete', count: number) => void;
  readonly onReceived: (count: number) => void;
}

/** The waiting messages of one group, in order. */
type Lane = Held[];

type Outcome = { readonly state: 'handled' | 'lost' } | { readonly state: 'failed'; readonly error: unknown };

export class Source {
  readonly #options: SourceOptions;
  readonly #held = new Map<string, Held>();
  readonly #lanes = new Map<string, Lane>();
  readonly #draining = new Set<Promise<void>>();
  readonly #undeleted = new Set<string>();
  readonly #changed = new Changed();
  readonly #stopping = new AbortController();
  readonly #ended = new AbortController();
  readonly #visibility: Visibility;
  readonly #deleter: Deleter;
  #polling: Promise<void> = Promise.resolve();
  #beating: Promise<void> = Promise.resolve();

  constructor(options: SourceOptions) {
    this.#options = options;
    const { queue, clock, logger, slots, visibilitySeconds } = options;
    slots.onFree(() => this.#changed.notify());
    this.#visibility = new Visibility({
      queue,
      clock,
      logger,
      seconds: visibilitySeconds,
      held: this.#held,
      onLost: (held) => this.#lose(held),
    });
    this.#deleter = new Deleter({
      queue,
      clock,
      logger,
      onEnd: (held, deleted) => this.#letGo(held, deleted),
      onRetry: (count) => options.onRetry('delete', count),
    });
  }

  start(): void {
    this.#polling = this.#poll();
    this.#beating = this.#visibility.beatUntil(this.#ended.signal);
  }

  /**
   * Stops receiving, returns messages that no handler has started, and waits for the handlers. When the deadline aborts, the
   * handlers' signals abort too and their messages are returned.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    this.#changed.notify();
    const waiting = [...this.#lanes.values()].flatMap((lane) => lane.splice(0));
    if (!deadline.aborted) await before(deadline, this.#finish(waiting));
    const left = [...this.#held.values()];
    this.#deleter.abandon();
    const running = left.filter(({ id }) => this.#held.has(id));
    for (const held of running)
      held.abort(new EchoStreamError('NODE_STOPPED', 'The node stops and waits no longer.'));
    this.#ended.abort();
    await this.#giveBack(running);
    await this.#beating;
  }

  async #finish(waiting: readonly Held[]): Promise<void> {
    await Promise.all([this.#giveBack(waiting), this.#polling]);
    while (this.#draining.size > 0) await Promise.all(this.#draining);
    await this.#deleter.settle();
  }

  async #poll(): Promise<void> {
    const { queue, name, logger, clock, visibilitySeconds, onRetry } = this.#options;
    let attemptId = randomUUID();
    const request = (waitSeconds: number, signal?: AbortSignal): Promise<readonly Received[]> =>
      queue.receive({ attemptId, waitSeconds, visibilitySeconds, ...(signal && { signal }) });
    let cutOff = false;
    for (let failures = 0; await this.#hungry(); ) {
      try {
        this.#accept(await request(WAIT_SECONDS, this.#stopping.signal));
        attemptId = randomUUID();
        cutOff = false;
        failures = 0;
      } catch (error) {
        cutOff = true;
        if (this.#stopping.signal.aborted) break;
        if (error instanceof QueueGone) {
          return logger.error(
            { error, source: name },
            'the queue of a source was deleted; nothing more comes from it',
          );
        }
        failures += 1;
        onRetry('receive', 1);
        logger.warn({ error, source: name, failures }, 'messages could not be received yet');
        await clock.sleep(backoff(failures), this.#stopping.signal).catch(() => {});
      }
    }
    // A lost answer may have contained messages. SQS delivers them again for the same attempt id.
    if (cutOff) this.#accept(await request(0).catch(() => []));
  }

  /** True if more messages are wanted, false if the source stops. */
  async #hungry(): Promise<boolean> {
    const { slots, concurrency } = this.#options;
    while (!this.#stopping.signal.aborted) {
      if (slots.free > 0 && this.#held.size <= concurrency * BATCH) {
        if (this.#lanes.size > 0 || this.#held.size === 0) return true;
        // A queue with groups delivers no more until these are deleted.
        await Promise.race([this.#deleter.settle(), this.#changed.wait()]);
      } else await this.#changed.wait();
    }
    return false;
  }

  #accept(messages: readonly Received[]): void {
    if (messages.length > 0) this.#options.onReceived(messages.length);
    const unwanted: Held[] = [];
    for (const received of messages) {
      const known = this.#held.has(received.id);
      const held = this.#take(received);
      if (known) continue;
      this.#held.set(held.id, held);
      if (this.#undeleted.has(held.id)) this.#deleter.add(held);
      else if (this.#stopping.signal.aborted) unwanted.push(held);
      else this.#enqueue(received.group ?? held.id, held);
    }
    if (unwanted.length > 0) this.#track(this.#giveBack(unwanted));
  }

  /** The held message, either an existing or a new one. */
  #take(received: Received): Held {
    const { name, messageType, clock, visibilitySeconds } = this.#options;
    const held = this.#held.get(received.id) ?? new Held(received, name, messageType);
    held.delivered(received, clock.now(), visibilitySeconds * 1000);
    return held;
  }

  #enqueue(group: string, held: Held): void {
    const lane = this.#lanes.get(group);
    if (lane) return void lane.push(held);
    const made = [held];
    this.#lanes.set(group, made);
    this.#track(this.#drain(group, made));
  }

  #track(work: Promise<void>): void {
    this.#draining.add(work);
    void work.finally(() => this.#draining.delete(work));
  }

  async #drain(group: string, lane: Lane): Promise<void> {
    const { slots, backoff: seconds } = this.#options;
    while (lane.length > 0) {
      await slots.take();
      const held = lane.shift();
      const outcome = held ? await this.#handle(held) : undefined;
      slots.give();
      if (!held || !outcome) break;
      if (outcome.state === 'handled') this.#deleter.add(held);
      else {
        // Later messages are returned first: SQS shows none of them while the failed one is invisible.
        const rest: [Held, number][] = lane.splice(0).map((later) => [later, 0]);
        if (outcome.state === 'failed') rest.push([held, seconds(held, outcome.error)]);
        else this.#held.delete(held.id);
        await this.#giveBackIn(rest);
      }
    }
    this.#lanes.delete(group);
    this.#deleter.hurry();
    this.#changed.notify();
  }

  async #handle(held: Held): Promise<Outcome> {
    const isLost = (): boolean => held.lost || this.#options.clock.now() >= held.expiresAt;
    if (isLost()) return { state: 'lost' };
    try {
      await this.#options.handle(held);
    } catch (error) {
      return isLost() ? { state: 'lost' } : { state: 'failed', error };
    }
    if (!isLost()) return { state: 'handled' };
    this.#remember(held);
    return { state: 'lost' };
  }

  #giveBack(all: readonly Held[]): Promise<void> {
    return this.#giveBackIn(all.map((held) => [held, 0]));
  }

  async #giveBackIn(changes: readonly (readonly [Held, number])[]): Promise<void> {
    for (const [held] of changes) this.#held.delete(held.id);
    await this.#visibility.giveBack(changes.filter(([{ lost }]) => !lost));
  }

  #lose(held: Held): void {
    held.lost = true;
    const { name, logger } = this.#options;
    logger.warn(
      { id: held.id, source: name },
      'the visibility of a message timed out; another consumer may have it',
    );
    held.abort(
      new EchoStreamError('MESSAGE_LOST', 'The visibility of the message timed out, so it comes again.'),
    );
  }

  #letGo(held: Held, deleted: boolean): void {
    this.#held.delete(held.id);
    if (deleted) this.#undeleted.delete(held.id);
    else this.#remember(held);
    this.#changed.notify();
  }

  #remember({ id }: Held): void {
    this.#undeleted.add(id);
    const [oldest] = this.#undeleted;
    if (this.#undeleted.size > REMEMBERED && oldest !== undefined) this.#undeleted.delete(oldest);
  }
}
