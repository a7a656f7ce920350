/** A queue of SQS. */

import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type MessageAttributeValue,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SQSClient,
  type Message as SqsMessage,
} from '@aws-sdk/client-sqs';
import type { Attributes } from './message.ts';
import {
  BATCH,
  type EntryResult,
  type Outgoing,
  type Queue,
  QueueGone,
  type Received,
  type ReceiveRequest,
} from './queue.ts';

/** SQS's limit if the queue does not report its own. */
const USUAL_LARGEST = 262_144;
/**
 * The time limit of a call, in milliseconds, in addition to the time that it waits for messages. It is well within a usual
 * visibility timeout.
 */
const DEADLINE = 10_000;
/** The time limit of a call with messages of up to 1 MiB, in milliseconds. */
const SEND_DEADLINE = 30_000;

const GONE = new Set(['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue']);

interface Failed {
  readonly Id: string | undefined;
  readonly Code: string | undefined;
  readonly Message?: string | undefined;
  readonly SenderFault: boolean | undefined;
}

export class SqsQueue implements Queue {
  readonly #sqs: SQSClient;
  readonly #QueueUrl: string;
  readonly #fifo: boolean;

  constructor(sqs: SQSClient, url: string) {
    this.#sqs = sqs;
    this.#QueueUrl = url;
    this.#fifo = url.endsWith('.fifo');
  }

  async receive({
    attemptId,
    waitSeconds,
    visibilitySeconds,
    signal,
  }: ReceiveRequest): Promise<readonly Received[]> {
    const { Messages = [] } = await this.#call(
      (QueueUrl, abortSignal) =>
        this.#sqs.send(
          new ReceiveMessageCommand({
            QueueUrl,
            MaxNumberOfMessages: BATCH,
            MessageAttributeNames: ['All'],
            MessageSystemAttributeNames: ['ApproximateReceiveCount', 'MessageGroupId'],
            VisibilityTimeout: visibilitySeconds,
            WaitTimeSeconds: waitSeconds,
            ...(this.#fifo && { ReceiveRequestAttemptId: attemptId }),
          }),
          { abortSignal },
        ),
      DEADLINE + waitSeconds * 1000,
      signal,
    );
    return Messages.map(receivedOf);
  }

  async delete(receipts: readonly string[]): Promise<readonly EntryResult[]> {
    const Entries = receipts.map((ReceiptHandle, i) => ({ Id: String(i), ReceiptHandle }));
    const { Failed } = await this.#call((QueueUrl, abortSignal) =>
      this.#sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }), { abortSignal }),
    );
    return results(receipts.length, Failed);
  }

  async changeVisibility(
    changes: readonly (readonly [receipt: string, seconds: number])[],
  ): Promise<readonly EntryResult[]> {
    const Entries = changes.map(([ReceiptHandle, VisibilityTimeout], i) => ({
      Id: String(i),
      ReceiptHandle,
      VisibilityTimeout,
    }));
    const { Failed } = await this.#call((QueueUrl, abortSignal) =>
      this.#sqs.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }), { abortSignal }),
    );
    return results(changes.length, Failed);
  }

  async send(messages: readonly Outgoing[]): Promise<readonly EntryResult[]> {
    const Entries = messages.map(({ body, attributes, group, deduplicationId }, i) => ({
      Id: String(i),
      MessageBody: body,
      MessageAttributes: attributeValues(attributes),
      MessageGroupId: group,
      ...(this.#fifo && { MessageDeduplicationId: deduplicationId }),
    }));
    const { Failed, Successful } = await this.#call(
      (QueueUrl, abortSignal) =>
        this.#sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }), { abortSignal }),
      SEND_DEADLINE,
    );
    return results(messages.length, Failed, Successful);
  }

  async largestMessage(): Promise<number> {
    const AttributeNames = ['MaximumMessageSize' as const];
    const { Attributes } = await this.#call((QueueUrl, abortSignal) =>
      this.#sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }), { abortSignal }),
    );
    return Number(Attributes?.MaximumMessageSize ?? USUAL_LARGEST);
  }

  /** A cleared timer costs far less than AbortSignal.timeout(), which stays until it fires. */
  async #call<T>(
    call: (url: string, signal: AbortSignal) => Promise<T>,
    deadline = DEADLINE,
    signal?: AbortSignal,
  ): Promise<T> {
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    const timer = setTimeout(
      () => controller.abort(new DOMException('SQS did not answer in time', 'TimeoutError')),
      deadline,
    );
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    try {
      return await call(this.#QueueUrl, controller.signal);
    } catch (error) {
      const { name } = error as Error;
      if (GONE.has(name))
        throw new QueueGone(`the queue ${this.#QueueUrl} does not exist any more`, { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }
}

function receivedOf({ MessageId, ReceiptHandle, Body, MessageAttributes, Attributes }: SqsMessage): Received {
  return {
    id: MessageId ?? '',
    receipt: ReceiptHandle ?? '',
    body: Body ?? '',
    attributes: attributesOf(MessageAttributes),
    group: Attributes?.MessageGroupId,
    receiveCount: Number(Attributes?.ApproximateReceiveCount ?? 1),
  };
}

function attributesOf(values: Readonly<Record<string, MessageAttributeValue>> | undefined): Attributes {
  const attributes: Record<string, string> = {};
  for (const [name, { StringValue }] of Object.entries(values ?? {})) {
    if (StringValue !== undefined) attributes[name] = StringValue;
  }
  return attributes;
}

function attributeValues(attributes: Attributes): Record<string, MessageAttributeValue> {
  const values: Record<string, MessageAttributeValue> = {};
  for (const [name, StringValue] of Object.entries(attributes)) {
    values[name] = { DataType: 'String', StringValue };
  }
  return values;
}

function results(
  count: number,
  failed: readonly Failed[] = [],
  successful: readonly { readonly Id?: string | undefined; readonly MessageId?: string | undefined }[] = [],
): readonly EntryResult[] {
  const all: EntryResult[] = Array.from({ length: count }, () => ({ ok: true }));
  for (const { Id, MessageId } of successful) all[Number(Id)] = { ok: true, messageId: MessageId };
  for (const { Id, Code, Message, SenderFault } of failed) {
    const throttled = /throttl|ServiceUnavailable|InternalError/i.test(Code ?? '');
    all[Number(Id)] = {
      ok: false,
      reason: `${Code}: ${Message ?? ''}`,
      final: SenderFault === true && !throttled,
    };
  }
  return all;
}
