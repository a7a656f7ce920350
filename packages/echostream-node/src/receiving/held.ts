/** One message that this node holds. SQS does not show it to other consumers until `expiresAt`. */

import { Message, type MessageType } from '../message.ts';
import type { Received } from '../queue.ts';

/** The handler's view of a message. */
export interface Delivery {
  readonly message: Message;
  /** The name of the node that sent the message. */
  readonly source: string;
  /** The number of deliveries of the message, including this one. */
  readonly receiveCount: number;
  /** Aborts when the handler's work has become useless, because another consumer may have the message. */
  readonly signal: AbortSignal;
}

export class Held implements Delivery {
  readonly id: string;
  readonly message: Message;
  readonly source: string;
  readonly attributes: Received['attributes'];
  receipt = '';
  receiveCount = 0;
  /** The clock when SQS delivered it, when its visibility was last extended, and when that ends. */
  deliveredAt = 0;
  extendedAt = 0;
  expiresAt = 0;
  /** Another consumer may have it. */
  lost = false;
  /** Created when a handler requests the signal; most do not. */
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(received: Received, source: string, type: MessageType) {
    this.id = received.id;
    this.source = source;
    this.attributes = received.attributes;
    this.message = Message.received(received.body, received.attributes, type, received.group);
  }

  /** SQS has delivered it, for the first time or again. */
  delivered({ receipt, receiveCount }: Received, now: number, visibilityMs: number): void {
    this.receipt = receipt;
    this.receiveCount = receiveCount;
    this.deliveredAt = now;
    this.extended(now, visibilityMs);
    this.lost = false;
  }

  extended(now: number, visibilityMs: number): void {
    this.extendedAt = now;
    this.expiresAt = now + visibilityMs;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}
