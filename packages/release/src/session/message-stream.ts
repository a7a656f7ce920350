/**
 * The reliable stream on the data channel. It numbers messages, acknowledges and orders incoming ones, drops
 * duplicates, and sends a message again if it is not acknowledged in time. It does not depend on a socket, and survives
 * the loss of one.
 *
 * INVARIANTS
 * - `deliver` receives each sequence number once and in order, whatever the network does.
 * - At most WINDOW messages are unacknowledged if callers await `send`.
 * - While the other side has paused the publication, only acknowledgements are transmitted. Without a socket, nothing
 *   is.
 */

import { randomUUID } from 'node:crypto';
import { type AgentMessage, decodeMessage, encodeMessage } from './agent-message.ts';
import { decodeAcknowledgement, decodeClosed, encodeAcknowledgement, MESSAGE } from './payloads.ts';
import { RetransmissionTimeout } from './retransmission-timeout.ts';
import type { Timers } from './timers.ts';

/** The number of messages that may be unacknowledged at once. */
const WINDOW = 64;
/**
 * Limits for messages that arrive early and are kept. A message beyond them is not acknowledged, so the other side
 * sends it again.
 */
const MOST_EARLY = 10_000;
const MOST_EARLY_BYTES = 16 * 1024 * 1024;
/** Milliseconds without any acknowledgement after which the other side counts as lost. */
const PATIENCE = 5 * 60_000;

export interface StreamEnd {
  /** The message type that the other side sends: `output_stream_data` for a client. */
  readonly incoming: string;
  readonly outgoing: string;
}

export const CLIENT_END: StreamEnd = { incoming: MESSAGE.output, outgoing: MESSAGE.input };

export interface StreamOptions extends StreamEnd {
  readonly timers: Timers;
  transmit(bytes: Buffer): void;
  deliver(payloadType: number, payload: Uint8Array): void;
  /** Called when the service closed the channel. The reason may be empty. */
  closed(reason: string): void;
  /** Called when the other side has acknowledged nothing for five minutes. */
  lost(): void;
}

interface Sent {
  readonly bytes: Buffer;
  sentAt: number;
  attempts: number;
}

export class MessageStream {
  readonly #options: StreamOptions;
  readonly #timeout = new RetransmissionTimeout();
  readonly #unacknowledged = new Map<number, Sent>();
  readonly #early = new Map<number, AgentMessage>();
  #earlyBytes = 0;
  #next = 0;
  #expected = 0;
  #isPaused = false;
  #isConnected = true;
  #isEnded = false;
  #progressAt = 0;
  /** Whether acknowledgements are read. While they are not, a missing one does not count. */
  isHeard = true;
  #cancelTimer: (() => void) | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** The number of messages that are not acknowledged yet. */
  get unacknowledged(): number {
    return this.#unacknowledged.size;
  }

  /** Sends a message. Resolves when there is room for another one, or the stream has ended. */
  async send(payloadType: number, payload: Uint8Array): Promise<void> {
    if (this.#isEnded) return;
    const { outgoing, timers } = this.#options;
    const sequence = this.#next++;
    const bytes = encodeMessage({ ...stamp(outgoing), sequence, flags: 0, payloadType, payload });
    if (this.#unacknowledged.size === 0) this.#progressAt = timers.now();
    const sent: Sent = { bytes, sentAt: timers.now(), attempts: 0 };
    this.#unacknowledged.set(sequence, sent);
    this.#transmit(sent);
    this.#arm();
    await this.#until(() => this.#unacknowledged.size < WINDOW);
  }

  /** Resolves when everything that was sent is acknowledged, or the stream has ended. */
  async flushed(): Promise<void> {
    await this.#until(() => this.#unacknowledged.size === 0);
  }

  /** @throws MalformedMessageError */
  receive(bytes: Buffer): void {
    if (this.#isEnded) return;
    const message = decodeMessage(bytes);
    switch (message.type) {
      case this.#options.incoming:
        this.#incoming(message);
        break;
      case MESSAGE.acknowledge:
        this.#acknowledged(decodeAcknowledgement(message.payload));
        break;
      case MESSAGE.closed:
        this.#options.closed(decodeClosed(message.payload));
        break;
      case MESSAGE.pause:
        this.#isPaused = true;
        this.#arm();
        break;
      case MESSAGE.start:
        this.connected();
    }
  }

  /** The socket is lost. Messages wait for the next one. */
  disconnected(): void {
    this.#isConnected = false;
    this.#arm();
  }

  /** A socket is open, and the other side reads. All unacknowledged messages are sent again at once. */
  connected(): void {
    this.#isConnected = true;
    this.#isPaused = false;
    this.#progressAt = this.#options.timers.now();
    for (const sent of this.#unacknowledged.values()) this.#transmit(sent);
    this.#arm();
  }

  end(): void {
    this.#isEnded = true;
    this.#unacknowledged.clear();
    this.#early.clear();
    this.#arm();
    this.#wake();
  }

  #incoming(message: AgentMessage): void {
    const { sequence, payload } = message;
    if (sequence > this.#expected && !this.#keep(message)) return;
    // Acknowledge a repeated message too, because the first acknowledgement may have been lost.
    this.#acknowledge(message);
    if (sequence !== this.#expected) return;
    this.#expected += 1;
    this.#options.deliver(message.payloadType, payload);
    for (;;) {
      const next = this.#early.get(this.#expected);
      if (!next || this.#isEnded) return;
      this.#early.delete(this.#expected);
      this.#earlyBytes -= next.payload.length;
      this.#expected += 1;
      this.#options.deliver(next.payloadType, next.payload);
    }
  }

  #keep(message: AgentMessage): boolean {
    if (this.#early.has(message.sequence)) return true;
    const bytes = this.#earlyBytes + message.payload.length;
    if (this.#early.size >= MOST_EARLY || bytes > MOST_EARLY_BYTES) return false;
    this.#early.set(message.sequence, { ...message, payload: Buffer.from(message.payload) });
    this.#earlyBytes = bytes;
    return true;
  }

  #acknowledge({ type, id, sequence }: AgentMessage): void {
    const payload = encodeAcknowledgement(type, id, sequence);
    const message = { ...stamp(MESSAGE.acknowledge), sequence: 0, flags: 3, payloadType: 0, payload };
    if (this.#isConnected) this.#options.transmit(encodeMessage(message));
  }

  #acknowledged(sequence: number | undefined): void {
    const sent = sequence === undefined ? undefined : this.#unacknowledged.get(sequence);
    if (sequence === undefined || !sent) return;
    const now = this.#options.timers.now();
    if (sent.attempts === 1) this.#timeout.measured(now - sent.sentAt);
    this.#progressAt = now;
    this.#unacknowledged.delete(sequence);
    this.#arm();
    this.#wake();
  }

  #transmit(sent: Sent): void {
    if (this.#isPaused || !this.#isConnected) return;
    sent.sentAt = this.#options.timers.now();
    sent.attempts += 1;
    this.#options.transmit(sent.bytes);
  }

  #dueAt({ sentAt, attempts }: Sent): number {
    return sentAt + this.#timeout.after(Math.max(1, attempts));
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#isEnded || this.#unacknowledged.size === 0 || this.#isPaused || !this.#isConnected) return;
    const { timers } = this.#options;
    const due = [...this.#unacknowledged.values()].reduce(
      (first, sent) => Math.min(first, this.#dueAt(sent)),
      Number.POSITIVE_INFINITY,
    );
    this.#cancelTimer = timers.schedule(Math.max(1, due - timers.now()), () => this.#retransmit());
  }

  #retransmit(): void {
    const now = this.#options.timers.now();
    if (!this.isHeard) this.#progressAt = now;
    if (now - this.#progressAt > PATIENCE) {
      this.#options.lost();
      return;
    }
    for (const sent of this.#unacknowledged.values()) if (this.#dueAt(sent) <= now) this.#transmit(sent);
    this.#arm();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!this.#isEnded && !isSo()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      await promise;
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

function stamp(type: string) {
  return { type, createdAt: Date.now(), id: randomUUID() };
}
