/** What the library asks of a queue. In production SQS answers, in tests a queue in memory. */

import type { Attributes } from './message.ts';

export interface Received {
  /** The same for each delivery of a message. */
  readonly id: string;
  /** Names this delivery of the message. */
  readonly receipt: string;
  readonly body: string;
  readonly attributes: Attributes;
  /** Undefined in a queue without groups. */
  readonly group: string | undefined;
  /** How often the message has been delivered, this time included. */
  readonly receiveCount: number;
}

export interface ReceiveRequest {
  /** A repeated request with the same id gets the messages that the lost answer had. */
  readonly attemptId: string;
  readonly waitSeconds: number;
  /** How long messages stay invisible to others. */
  readonly visibilitySeconds: number;
  readonly signal?: AbortSignal;
}

export interface Outgoing {
  readonly body: string;
  readonly attributes: Attributes;
  readonly group: string;
  /** SQS drops a second message with the same id within five minutes. */
  readonly deduplicationId: string;
}

/** What became of one entry of a batch. */
export type EntryResult =
  | { readonly ok: true; readonly messageId?: string | undefined }
  | {
      readonly ok: false;
      readonly reason: string /** Another attempt is of no use. */;
      readonly final: boolean;
    };

/** Batches have at most ten entries, and get a result for each entry, in order. Whole batches fail by a rejection. */
export interface Queue {
  receive(request: ReceiveRequest): Promise<readonly Received[]>;
  delete(receipts: readonly string[]): Promise<readonly EntryResult[]>;
  changeVisibility(
    changes: readonly (readonly [receipt: string, seconds: number])[],
  ): Promise<readonly EntryResult[]>;
  send(messages: readonly Outgoing[]): Promise<readonly EntryResult[]>;
  /** Bytes that one message may have. */
  largestMessage(): Promise<number>;
}

/** Entries of one batch. */
export const BATCH = 10;

/** A queue that was deleted, so asking again is of no use. */
export class QueueGone extends Error {}

export function batches<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, i) =>
    all.slice(i * BATCH, (i + 1) * BATCH),
  );
}
