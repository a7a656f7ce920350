/**
 * A pseudo-terminal that keeps running while no client is attached. A client that attaches sees the last output and
 * then the new output. One client is the writer.
 *
 * INVARIANTS
 * - Memory is bounded, however slowly clients read. Output that the writer has not read is not overwritten; instead the
 *   program in the terminal blocks. Other clients miss output if they are too slow, and are told how much.
 * - There is at most one writer.
 * - A hand-over loses no byte: the next service first waits for the writer to return.
 */

import { ServiceError } from '../errors/service-error.ts';
import { monotonic } from '../lifetime/monotonic.ts';
import { Attachment, type Seen } from './attachment.ts';
import type { HandedInContainer, HandedTerminal } from './handed-terminal.ts';
import type { Keep, Pty, Size } from './pty.ts';
import { KEPT, Scrollback } from './scrollback.ts';

/** The maximum lag of the writer in bytes. */
const MOST_BEHIND = KEPT / 2;
/** The time limit in milliseconds for the writer to return after a hand-over. Until then, the output waits. */
const COMING_BACK = 30_000;

export interface AttachOptions {
  /**
   * `write`: becomes the writer if there is none. `take`: becomes the writer, and the present writer becomes a watcher.
   */
  readonly as: 'write' | 'take' | 'watch';
  /** The number of bytes that the client already has; undefined: show the kept output. */
  readonly after: number | undefined;
}

/** The part of a hand-over that the terminal itself provides. */
export type HandedState = Omit<HandedInContainer, 'container' | 'program' | 'user' | 'by' | 'exec'> &
  NonNullable<Pty['handed']>;

export class Terminal {
  readonly id: string;
  readonly began: Date;
  readonly #pty: Pty;
  readonly #printed = new Scrollback(KEPT);
  readonly #attached = new Set<Attachment>();
  readonly #ended = Promise.withResolvers<number | undefined>();
  readonly #reading: Promise<void>;
  #size: Size;
  #isOver = false;
  #isPassedOn = false;
  /** The position of a writer that has not returned yet. */
  #expected: number | undefined;
  #changed = Promise.withResolvers<void>();
  /** A `performance.now()` value. */
  #usedAt = performance.now();

  /** Reads the output until the program in the terminal has ended. @param left what the previous service handed over */
  constructor(id: string, pty: Pty, size: Size, left?: HandedTerminal) {
    this.id = id;
    this.#pty = pty;
    this.#size = size;
    this.began = left ? new Date(left.began) : new Date();
    if (left) this.#restore(left);
    this.#reading = this.#read();
    void this.#run();
  }

  #restore({ kept, end, used, writer }: HandedTerminal): void {
    this.#printed.restore(Buffer.from(kept, 'base64'), end);
    this.#usedAt -= monotonic() - used;
    if (writer === undefined) return;
    this.#expected = writer;
    setTimeout(() => this.#expectNobody(), COMING_BACK).unref();
  }

  #expectNobody(): void {
    this.#expected = undefined;
    this.#change();
  }

  async #run(): Promise<void> {
    await this.#reading;
    if (this.#isPassedOn) return;
    const exitCode = await this.#pty.exitCode().catch(() => undefined);
    this.#isOver = true;
    this.#ended.resolve(exitCode);
    this.#change();
  }

  async #read(): Promise<void> {
    try {
      for await (const bytes of this.#pty.output) {
        this.#printed.add(bytes);
        if (this.attached > 0) this.#use();
        this.#change();
        while (this.#isTooFarAhead()) await this.#changed.promise;
      }
    } catch {
      // The stream of the output broke; the exit code says what happened.
    }
  }

  #isTooFarAhead(): boolean {
    const place = this.writer?.place ?? this.#expected;
    return !this.#isPassedOn && place !== undefined && this.#printed.end - place > MOST_BEHIND;
  }

  /** Wakes everything that waits for a change. */
  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #use(): void {
    this.#usedAt = performance.now();
  }

  get size(): Size {
    return this.#size;
  }

  get writer(): Attachment | undefined {
    return [...this.#attached].find(({ isWriter }) => isWriter);
  }

  /** The number of attached clients. */
  get attached(): number {
    return this.#attached.size;
  }

  /** Milliseconds since a client last typed, attached, detached, or received output. */
  get idle(): number {
    return performance.now() - this.#usedAt;
  }

  /** Resolves when the program has ended, with its exit code, or undefined if unknown. */
  get ended(): Promise<number | undefined> {
    return this.#ended.promise;
  }

  /** @throws {ServiceError} `terminal.has_writer` */
  attach({ as, after }: AttachOptions): Attachment {
    const { writer } = this;
    if (as === 'write' && writer) throw new ServiceError('terminal.has_writer', { id: this.id });
    if (as === 'take' && writer) writer.isWriter = false;
    if (as !== 'watch') this.#expected = undefined;
    const place = Math.min(after ?? this.#printed.firstLine, this.#printed.end);
    const attachment = new Attachment(place, as !== 'watch', {
      see: (one) => this.#see(one),
      write: (bytes) => this.#write(bytes),
      resize: (size) => this.#resize(size),
      detach: (one) => this.#detach(one),
    });
    this.#attached.add(attachment);
    this.#use();
    this.#change();
    return attachment;
  }

  /** Whether the next service continues it. */
  get isPassedOn(): boolean {
    return this.#isPassedOn;
  }

  /**
   * Stops reading the output and passing on input, if the next service can continue the terminal.
   * @param keep as for the pseudo-terminal
   */
  passOn(keep: Keep): void {
    this.#isPassedOn = this.#pty.passOn?.(keep) ?? false;
    if (this.#isPassedOn) this.#expected = this.writer?.place ?? this.#expected;
    this.#change();
  }

  /** The data with which the next service continues. To be read after `passOn`. */
  async handed(): Promise<HandedState> {
    await this.#reading;
    return {
      id: this.id,
      began: this.began.toISOString(),
      size: this.#size,
      used: monotonic() - this.idle,
      end: this.#printed.end,
      kept: this.#printed.all.toString('base64'),
      ...(this.#expected !== undefined && { writer: this.#expected }),
      ...(this.#pty.handed as NonNullable<Pty['handed']>),
    };
  }

  #detach(attachment: Attachment): void {
    this.#attached.delete(attachment);
    this.#use();
    this.#change();
  }

  async *#see(attachment: Attachment): AsyncGenerator<Seen> {
    let isWriter: boolean | undefined;
    while (this.#attached.has(attachment)) {
      const { first, end } = this.#printed;
      if (isWriter !== attachment.isWriter) {
        isWriter = attachment.isWriter;
        yield { isWriter };
      } else if (attachment.place < first) {
        const missed = first - attachment.place;
        attachment.place = first;
        yield { missed };
      } else if (attachment.place < end) {
        const bytes = this.#printed.read(attachment.place);
        yield { bytes };
        attachment.place += bytes.length;
        this.#change();
      } else if (this.#isOver) return;
      else await this.#changed.promise;
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#use();
    await this.#pty.write(bytes);
  }

  async #resize(size: Size): Promise<void> {
    this.#size = size;
    await this.#pty.resize(size);
  }
}
