/** SQS's JSON protocol in front of queues in memory. */

import { createHash } from 'node:crypto';
import type { EntryResult } from '../../src/queue.ts';
import type { MemoryQueue } from './memory-queue.ts';

type Json = Record<string, unknown>;
type Entry = { readonly Id: string; readonly ReceiptHandle: string; readonly VisibilityTimeout: number } & {
  readonly MessageBody: string;
  readonly MessageGroupId: string;
  readonly MessageDeduplicationId: string;
  readonly MessageAttributes?: Record<string, { StringValue: string }>;
};

export async function answerSqs(
  action: string,
  body: Json,
  queue: MemoryQueue,
  signal: AbortSignal,
): Promise<Json> {
  const entries = body.Entries as readonly Entry[];
  const receipts = entries?.map(({ ReceiptHandle }) => ReceiptHandle);
  switch (action) {
    case 'ReceiveMessage':
      return receive(body, queue, signal);
    case 'DeleteMessageBatch':
      return batch(entries, await queue.delete(receipts));
    case 'ChangeMessageVisibilityBatch':
      return batch(
        entries,
        await queue.changeVisibility(entries.map((one) => [one.ReceiptHandle, one.VisibilityTimeout])),
      );
    case 'SendMessageBatch':
      return batch(
        entries,
        await queue.send(
          entries.map((one) => ({
            body: one.MessageBody,
            group: one.MessageGroupId,
            deduplicationId: one.MessageDeduplicationId,
            attributes: Object.fromEntries(
              Object.entries(one.MessageAttributes ?? {}).map(([name, { StringValue }]) => [
                name,
                StringValue,
              ]),
            ),
          })),
        ),
      );
    default:
      return { Attributes: { MaximumMessageSize: String(queue.largest) } };
  }
}

async function receive(body: Json, queue: MemoryQueue, signal: AbortSignal): Promise<Json> {
  const received = await queue.receive({
    attemptId: body.ReceiveRequestAttemptId as string,
    waitSeconds: (body.WaitTimeSeconds as number | undefined) ?? 0,
    visibilitySeconds: (body.VisibilityTimeout as number | undefined) ?? 30,
    signal,
  });
  const Messages = received.map((one) => ({
    MessageId: one.id,
    ReceiptHandle: one.receipt,
    Body: one.body,
    MD5OfBody: md5(one.body),
    Attributes: { ApproximateReceiveCount: String(one.receiveCount), MessageGroupId: one.group },
    MessageAttributes: Object.fromEntries(
      Object.entries(one.attributes).map(([name, StringValue]) => [
        name,
        { DataType: 'String', StringValue },
      ]),
    ),
  }));
  return Messages.length > 0 ? { Messages } : {};
}

function batch(entries: readonly Entry[], results: readonly EntryResult[]): Json {
  const Successful: Json[] = [];
  const Failed: Json[] = [];
  for (const [i, { Id, MessageBody }] of entries.entries()) {
    const result = results[i] as EntryResult;
    if (result.ok)
      Successful.push({
        Id,
        MessageId: `sent-${Id}`,
        ...(MessageBody && { MD5OfMessageBody: md5(MessageBody) }),
      });
    else Failed.push({ Id, Code: result.reason, SenderFault: result.final });
  }
  return { Successful, Failed };
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
