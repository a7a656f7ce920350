/** The operations of a queue. SQS implements them in production, and a queue in memory in tests. */

import type { Attributes } from './message.ts';

export interface Received {
  /** Stays the same for each delivery of a message. */
  readonly id: string;
  /** Identifies this delivery of the message. */
  readonly receipt: string;
  readonly body: string;
  readonly attributes: Attributes;
  /** Undefined if the queue has no groups. */
  readonly group: string | undefined;
  /** The number of deliveries of the message, including this one. */
  readonly receiveCount: number;
}

export interface ReceiveRequest {
  /** A retried request with the same id gets the messages of the lost answer. */
  readonly attemptId: string;
  readonly waitSeconds: number;
  /** How long messages stay invisible to other consumers. */
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

/** The result for one entry of a batch. */
export type EntryResult =
  | { readonly ok: true; readonly messageId?: string | undefined }
  | {
      readonly ok: false;
      readonly reason: string /** A retry is useless. */;
      readonly final: boolean;
    };

/**
 * A batch has at most ten entries, and its results are in the order of the entries. If the whole batch fails, the call rejects.
 */
export interface Queue {
  receive(request: ReceiveRequest): Promise<readonly Received[]>;
  delete(receipts: readonly string[]): Promise<readonly EntryResult[]>;
  changeVisibility(
    changes: readonly (readonly [receipt: string, seconds: number])[],
  ): Promise<readonly EntryResult[]>;
  send(messages: readonly Outgoing[]): Promise<readonly EntryResult[]>;
  /** The maximum size of a message, in bytes. */
  largestMessage(): Promise<number>;
}

/** Entries of one batch. */
export const BATCH = 10;

/** A queue that was deleted, so a retry is useless. */
export class QueueGone extends Error {}

export function batches<T>(all: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / BATCH) }, (_, i) =>
    all.slice(i * BATCH, (i + 1) * BATCH),
  );
}
