/**
 * A node in a long-running program. Override `handleReceivedMessage`, start the node, and wait for its end with `join`.
 *
 * A stop has these steps: the node receives no more messages, handlers finish, handled messages are deleted, sent messages and
 * audit records are delivered, and the connections close. All steps share one deadline.
 */

import { before } from './before.ts';
import { systemClock } from './clock.ts';
import { Edges, type NamedEdge } from './edges.ts';
import { EchoStreamError } from './errors.ts';
import { makeHandling } from './handling.ts';
import type { Logger } from './logger.ts';
import type { MessageType } from './message.ts';
import { EchoNode, sessionOf } from './node.ts';
import { type NodeOptions, Problems } from './options.ts';
import { type Backoff, backoffOf, LONGEST_BACKOFF } from './receiving/backoff.ts';
import type { Delivery } from './receiving/held.ts';
import { Slots } from './receiving/slots.ts';
import { Source } from './receiving/source.ts';
import { runTimer, type Tick } from './timers.ts';

export interface AppNodeOptions extends NodeOptions {
  /** The number of handlers that run at once. Messages of one group are always handled one at a time. Default: 1. */
  readonly concurrency?: number;
  /** The time limit of a handler, in milliseconds. Default: none but SQS's limit of twelve hours. */
  readonly messageTimeout?: number;
  /** Seconds after which other consumers get the messages of a killed process. Default: 30. */
  readonly visibilityTimeout?: number;
  /** Default: immediately after the first failure, then after 1, 3, 7 … seconds, at most 300. */
  readonly backoff?: number | Backoff;
  /** The delivery at which a failed message goes to `handlePoisonMessage`, if the node has one. Default: 10. */
  readonly maxReceives?: number;
  /** The time limit of a stop, in milliseconds. Default: 25,000. */
  readonly stopTimeout?: number;
  /** Signals that stop the node. Default: none; `startAndRunForever` handles SIGTERM, SIGINT and SIGHUP. */
  readonly signals?: readonly NodeJS.Signals[];
}

export const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
const LONGEST_STOP = 43_200_000;
/** The longest delay of a timer in Node. */
const LONGEST_INTERVAL = 2_147_483_647;

export class AppNode extends EchoNode implements AsyncDisposable {
  readonly #appOptions: AppNodeOptions;
  readonly #stopping = new AbortController();
  readonly #timers = new Set<Promise<void>>();
  readonly #signals = new Set<NodeJS.Signals>();
  readonly #ended = Promise.withResolvers<void>();
  /** Aborts when a stop waits no longer. */
  readonly #late = new AbortController();
  #sources: Edges<Source> | undefined;
  #starting: Promise<void> | undefined;
  #stop: Promise<void> | undefined;

  /** @throws EchoStreamError OPTIONS_INVALID; a subclass adds its problems to `problems` first */
  constructor(options: AppNodeOptions = {}, problems = new Problems()) {
    problems.integer('concurrency', options.concurrency, 1, 1000);
    problems.integer('messageTimeout', options.messageTimeout, 1, 43_200_000);
    problems.integer('visibilityTimeout', options.visibilityTimeout, 3, 43_200);
    problems.integer('maxReceives', options.maxReceives, 1, 1_000_000);
    problems.integer('stopTimeout', options.stopTimeout, 0, LONGEST_STOP);
    problems.signals('signals', options.signals);
    if (typeof options.backoff !== 'function')
      problems.integer('backoff', options.backoff, 0, LONGEST_BACKOFF);
    super(options, problems);
    this.#appOptions = options;
    // A caller that does not join has still requested the stop, and gets its error there.
    this.#ended.promise.catch(() => {});
  }

  /** Override this method. If it rejects, the message is delivered again. The default does nothing. */
  async handleReceivedMessage(_delivery: Delivery): Promise<void> {}

  /** If it is defined, it gets messages that failed too often. When it resolves, they are deleted. */
  handlePoisonMessage?(delivery: Delivery, error: unknown): Promise<void>;

  /**
   * Signs in and starts to receive. When `signal` aborts, the node stops.
   * @throws EchoStreamError, as `connect` does; ALREADY_STARTED
   */
  async start({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    await this.#startOnce(this.#appOptions.signals ?? [], signal);
  }

  /** Resolves when the node has stopped. */
  join(): Promise<void> {
    return this.#ended.promise;
  }

  /** Starts the node, and resolves when a signal or another caller has stopped it. */
  async startAndRunForever(): Promise<void> {
    await this.#startOnce(this.#appOptions.signals ?? STOP_SIGNALS).catch((error: unknown) => {
      // A stop during the start ends the node normally.
      if (!this.#stopping.signal.aborted) throw error;
    });
    await this.join();
  }

  /**
   * Resolves when the node has stopped. After `timeout` milliseconds, unfinished messages are returned to their queues and
   * undelivered results are dropped. A stop waits for the handlers, so a handler must not await it.
   * @throws EchoStreamError OPTIONS_INVALID
   */
  async stop({
    timeout = this.#appOptions.stopTimeout ?? 25_000,
  }: {
    readonly timeout?: number;
  } = {}): Promise<void> {
    checkCall('stop', (problems) => problems.integer('timeout', timeout, 0, LONGEST_STOP));
    this.#stop ??= this.#end(timeout).then(this.#ended.resolve, (error: unknown) => {
      this.#ended.reject(error);
      throw error;
    });
    await this.#stop;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Calls a function at intervals, in milliseconds, until the node stops. Calls never overlap.
   * @throws EchoStreamError OPTIONS_INVALID
   */
  every(interval: number, tick: Tick): void {
    checkCall('every', (problems) => problems.integer('interval', interval, 1, LONGEST_INTERVAL));
    const timer = runTimer({
      interval,
      tick,
      signal: this.#stopping.signal,
      clock: systemClock,
      logger: this.#logger,
    });
    this.#timers.add(timer);
    void timer.finally(() => this.#timers.delete(timer));
  }

  get #logger(): Logger {
    return sessionOf(this).options.logger;
  }

  async #startOnce(signals: readonly NodeJS.Signals[], signal?: AbortSignal): Promise<void> {
    if (this.#starting) {
      throw new EchoStreamError(
        'ALREADY_STARTED',
        `The node ${this.name} was started before. Start a node once.`,
      );
    }
    this.#starting = this.#start(signals, signal);
    try {
      await this.#starting;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }

  async #start(signals: readonly NodeJS.Signals[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    signal?.addEventListener('abort', () => void this.#stopAndLog(), { once: true });
    this.#stopOn(signals);
    await sessionOf(this).connect(this.#stopping.signal);
    this.#stopping.signal.throwIfAborted();
    this.#sources = this.#makeSources();
    this.#followSources();
    if (this.stopped) return;
    this.#logger.info(
      { node: this.name, sources: this.sources, targets: this.targets },
      'the node has started',
    );
  }

  override async refresh(): Promise<void> {
    await super.refresh();
    this.#followSources();
  }

  #followSources(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.stopped) {
      this.#logger.warn(
        { node: this.name },
        'the node is stopped in EchoStream, so it receives and sends nothing',
      );
    }
    const edges = this.stopped || !this.receiveMessageType ? [] : sessionOf(this).sourceEdges;
    this.#sources?.follow(edges.map(({ queue, source: { name } }) => ({ name, queue })));
  }

  #makeSources(): Edges<Source> {
    const {
      concurrency = 1,
      visibilityTimeout = 30,
      maxReceives = 10,
      messageTimeout,
      backoff,
    } = this.#appOptions;
    const { telemetry, options, connection } = sessionOf(this);
    const { logger } = options;
    const slots = new Slots(concurrency);
    const handle = makeHandling({
      handle: (delivery) => this.handleReceivedMessage(delivery),
      handlePoison:
        this.handlePoisonMessage && ((delivery, error) => this.handlePoisonMessage?.(delivery, error)),
      maxReceives,
      messageTimeout,
      telemetry,
      logger,
    });
    const make = ({ name, queue }: NamedEdge): Source => {
      const source = { source: name };
      const made = new Source({
        name,
        queue: connection.queue(queue),
        messageType: this.receiveMessageType as MessageType,
        slots,
        concurrency,
        visibilitySeconds: visibilityTimeout,
        handle,
        backoff: backoffOf(backoff, logger),
        clock: systemClock,
        logger,
        onReceived: (count) => telemetry.received(count, source),
        onRetry: (operation, count) => telemetry.retried(count, { ...source, operation }),
      });
      made.start();
      return made;
    };
    return new Edges({ make, leave: (source) => source.stop(this.#late.signal) });
  }

  async #end(timeout: number): Promise<void> {
    const deadline = AbortSignal.timeout(timeout);
    deadline.addEventListener('abort', () => this.#late.abort());
    this.#stopping.abort(new EchoStreamError('NODE_STOPPED', `The node ${this.name} was stopped.`));
    try {
      await before(
        deadline,
        this.#starting?.catch(() => {}),
      );
      this.#sources?.follow([]);
      await this.#sources?.settle();
      await before(deadline, Promise.all([...this.#timers]));
      await before(deadline, sessionOf(this).settle());
    } finally {
      sessionOf(this).close();
    }
    this.#logger.info({ node: this.name }, 'the node has stopped');
  }

  #stopOn(signals: readonly NodeJS.Signals[]): void {
    for (const signal of signals) {
      if (this.#signals.has(signal)) continue;
      this.#signals.add(signal);
      const stop = (): void => {
        this.#logger.info({ node: this.name, signal }, 'a signal stops the node');
        void this.#stopAndLog();
      };
      process.on(signal, stop);
      const forget = (): void => void process.off(signal, stop);
      this.#ended.promise.then(forget, forget);
    }
  }

  async #stopAndLog(): Promise<void> {
    await this.stop().catch((error: unknown) =>
      this.#logger.error({ error }, 'the node did not stop as it should'),
    );
  }
}

/** @throws EchoStreamError OPTIONS_INVALID if the check has found problems */
function checkCall(method: string, check: (problems: Problems) => void): void {
  const problems = new Problems();
  check(problems);
  problems.throwIfAny(`${method}() cannot do this`);
}
