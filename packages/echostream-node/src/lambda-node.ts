/**
 * A node in an AWS Lambda function whose event sources are the queues of the node's edges. Lambda receives and deletes the
 * messages, so this node handles events:
 *
 *   export const { handler } = new MyNode();
 */

import { systemClock } from './clock.ts';
import { EchoStreamError } from './errors.ts';
import { makeHandling } from './handling.ts';
import type { BatchItemFailures, LambdaContext, LambdaEvent, LambdaRecord } from './lambda/events.ts';
import { handleRecords } from './lambda/handle-records.ts';
import type { Attributes } from './message.ts';
import { EchoNode, sessionOf } from './node.ts';
import { type NodeOptions, Problems } from './options.ts';
import type { Received } from './queue.ts';
import { type Delivery, Held } from './receiving/held.ts';
import { Slots } from './receiving/slots.ts';

export interface LambdaNodeOptions extends NodeOptions {
  /** The number of handlers that run at once. Messages of one group are always handled one at a time. Default: 1. */
  readonly concurrency?: number;
  /** The time limit of a handler, in milliseconds. Default: the function's own. */
  readonly messageTimeout?: number;
  /** The delivery at which a failed message goes to `handlePoisonMessage`, if the node has one. Default: 10. */
  readonly maxReceives?: number;
  /**
   * Reports failed messages to Lambda. Set this option if, and only if, the event source mapping has the response type
   * ReportBatchItemFailures. Otherwise Lambda deletes reported messages. Default: false; a failure fails the whole
   * batch.
   */
  readonly reportBatchItemFailures?: boolean;
}

/**
 * Milliseconds before the function's end after which no handler starts, so that messages and audit records are still delivered.
 */
const RESERVE = 1000;
/** Milliseconds before the function's end at which it stops waiting for these deliveries. */
const LAST = 300;

interface Entry {
  readonly id: string;
  readonly key: string;
  readonly held: Held;
}

export class LambdaNode extends EchoNode implements AsyncDisposable {
  readonly #lambdaOptions: LambdaNodeOptions;
  #starting: Promise<void> | undefined;

  constructor(options: LambdaNodeOptions = {}) {
    const problems = new Problems();
    problems.integer('concurrency', options.concurrency, 1, 1000);
    problems.integer('messageTimeout', options.messageTimeout, 1, 900_000);
    problems.integer('maxReceives', options.maxReceives, 1, 1_000_000);
    problems.boolean('reportBatchItemFailures', options.reportBatchItemFailures);
    super(options, problems);
    this.#lambdaOptions = options;
  }

  /** Override this method. If it rejects, the message is delivered again. The default does nothing. */
  async handleReceivedMessage(_delivery: Delivery): Promise<void> {}

  /** If it is defined, it gets messages that failed too often. When it resolves, they are deleted. */
  handlePoisonMessage?(delivery: Delivery, error: unknown): Promise<void>;

  /** The function's handler. */
  readonly handler = (event: LambdaEvent, context?: LambdaContext): Promise<BatchItemFailures | undefined> =>
    this.handleEvent(event, context);

  /** Signs in. The first event does this too; call it while the function is initialized to save time. */
  async start(): Promise<void> {
    this.#starting ??= sessionOf(this)
      .connect()
      .catch((error: unknown) => {
        this.#starting = undefined;
        throw error;
      });
    await this.#starting;
  }

  /** Closes the connections. Lambda only freezes a function, so this is for programs that call handlers themselves. */
  async stop({ timeout = LAST }: { readonly timeout?: number } = {}): Promise<void> {
    await this.#settle(timeout);
    sessionOf(this).close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Resolves when all messages of the event are handled, and their results and audit records are delivered.
   * @throws the error of the first failed handler, unless failures are reported
   */
  async handleEvent(event: LambdaEvent, context?: LambdaContext): Promise<BatchItemFailures | undefined> {
    const { reportBatchItemFailures: reports = false, concurrency = 1 } = this.#lambdaOptions;
    await this.start();
    if (this.stopped) await this.refresh();
    if (this.stopped) {
      throw new EchoStreamError(
        'NODE_STOPPED',
        `The node ${this.name} is stopped in EchoStream, so it handles nothing. Disable the event source mapping while the node is stopped.`,
      );
    }
    const entries = await this.#entriesOf(event);
    const hasTime = (): boolean =>
      (context?.getRemainingTimeInMillis() ?? Number.POSITIVE_INFINITY) > RESERVE;
    const { ids, errors } = await handleRecords(
      entries,
      new Slots(concurrency),
      this.#makeHandle(),
      (failed) => hasTime() && (reports || failed.length === 0),
    );
    await this.#settle(context ? context.getRemainingTimeInMillis() - LAST : undefined);
    if (ids.length === 0) return undefined;
    if (reports) return { batchItemFailures: ids.map((itemIdentifier) => ({ itemIdentifier })) };
    throw (
      errors[0] ??
      new EchoStreamError(
        'EVENT_INVALID',
        `${ids.length} messages were not handled, because the function has no time left. Give it a longer timeout or smaller batches.`,
      )
    );
  }

  /** Records that are not delivered in time are delivered with the next event. */
  async #settle(milliseconds: number | undefined): Promise<void> {
    const settled = sessionOf(this).settle();
    if (milliseconds === undefined) return settled;
    const over = new AbortController();
    const late = systemClock.sleep(milliseconds, over.signal).then(
      () =>
        sessionOf(this).options.logger.warn(
          {},
          'not everything that was sent and audited has arrived in time',
        ),
      () => {},
    );
    await Promise.race([settled, late]);
    over.abort();
  }

  #makeHandle(): (entry: Entry) => Promise<void> {
    const { maxReceives = 10, messageTimeout } = this.#lambdaOptions;
    const handle = makeHandling({
      handle: (delivery) => this.handleReceivedMessage(delivery),
      handlePoison:
        this.handlePoisonMessage && ((delivery, error) => this.handlePoisonMessage?.(delivery, error)),
      maxReceives,
      messageTimeout,
      telemetry: sessionOf(this).telemetry,
      logger: sessionOf(this).options.logger,
    });
    return ({ held }) => handle(held);
  }

  /** The name of the node that sends to a queue. */
  #sourceOf(queue: string): string | undefined {
    return sessionOf(this).sourceEdges.find((edge) => nameOf(edge.queue, '/') === queue)?.source.name;
  }

  async #entriesOf(event: LambdaEvent): Promise<readonly Entry[]> {
    if (!Array.isArray(event?.Records)) {
      throw new EchoStreamError(
        'EVENT_INVALID',
        'The event has no Records. Let the function be called by an event source mapping of an SQS queue.',
      );
    }
    const { Records } = event as LambdaEvent;
    const queueOf = ({ eventSourceARN }: LambdaRecord): string => nameOf(eventSourceARN, ':');
    // The edge may be newer than the node's record.
    if (Records.some((record) => !this.#sourceOf(queueOf(record)))) await this.refresh();
    return Records.map((record) => {
      const queue = queueOf(record);
      const source = this.#sourceOf(queue);
      const messageType = this.receiveMessageType;
      if (source === undefined || !messageType) {
        throw new EchoStreamError(
          'EVENT_INVALID',
          `The node ${this.name} has no source with the queue ${queue}. Remove the event source mapping, or make an edge with this queue.`,
        );
      }
      const received = receivedOf(record);
      const held = new Held(received, source, messageType);
      held.receiveCount = received.receiveCount;
      return { id: received.id, key: `${queue} ${received.group ?? received.id}`, held };
    });
  }
}

/** The last part of a URL or an ARN. */
function nameOf(address: string, separator: string): string {
  return address.slice(address.lastIndexOf(separator) + 1);
}

function receivedOf({
  messageId,
  receiptHandle,
  body,
  attributes,
  messageAttributes,
}: LambdaRecord): Received {
  const values: Record<string, string> = {};
  for (const [name, { stringValue }] of Object.entries(messageAttributes ?? {})) {
    if (stringValue !== undefined) values[name] = stringValue;
  }
  return {
    id: messageId,
    receipt: receiptHandle,
    body,
    attributes: values as Attributes,
    group: attributes.MessageGroupId,
    receiveCount: Number(attributes.ApproximateReceiveCount ?? 1),
  };
}
