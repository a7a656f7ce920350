/**
 * A terminal: a pseudo-terminal that goes on when nobody looks at it. Whoever attaches sees the last of what was printed
 * and then what comes; one of them writes.
 *
 * INVARIANTS
 * - Memory is bounded, however slowly who reads: what the writer has not read yet is not overwritten, since what prints
 *   is made to wait; others miss what they were too slow for, and are told how much.
 * - There is at most one writer.
 */

import { ServiceError } from '../errors/service-error.ts';
import { Attachment, type Seen } from './attachment.ts';
import type { Pty, Size } from './pty.ts';
import { KEPT, Scrollback } from './scrollback.ts';

/** Bytes that the writer may be behind. */
const MOST_BEHIND = KEPT / 2;

export interface AttachOptions {
  /** `write`: as the writer, if there is none; `take`: the present one watches from then on. */
  readonly as: 'write' | 'take' | 'watch';
  /** How many bytes are known already; undefined: what is kept is shown. */
  readonly after: number | undefined;
}

export class Terminal {
  readonly id: string;
  readonly began = new Date();
  readonly #pty: Pty;
  readonly #printed = new Scrollback(KEPT);
  readonly #attached = new Set<Attachment>();
  readonly #ended = Promise.withResolvers<number | undefined>();
  #size: Size;
  #isOver = false;
  #changed = Promise.withResolvers<void>();
  /** As `performance.now` has it. */
  #usedAt = performance.now();

  /** Prints until what runs in it has ended. */
  constructor(id: string, pty: Pty, size: Size) {
    this.id = id;
    this.#pty = pty;
    this.#size = size;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      for await (const bytes of this.#pty.output) {
        this.#printed.add(bytes);
        if (this.attached > 0) this.#use();
        this.#change();
        while (this.#isTooFarAhead()) await this.#changed.promise;
      }
    } catch {
      // Who printed is away; what there is to say of it, its exit code says.
    }
    const exitCode = await this.#pty.exitCode().catch(() => undefined);
    this.#isOver = true;
    this.#ended.resolve(exitCode);
    this.#change();
  }

  #isTooFarAhead(): boolean {
    const { writer } = this;
    return writer !== undefined && this.#printed.end - writer.place > MOST_BEHIND;
  }

  /** Wakes all who wait for something to happen. */
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

  /** How many look at it. */
  get attached(): number {
    return this.#attached.size;
  }

  /** Milliseconds since somebody typed, came, went, or saw something printed. */
  get idle(): number {
    return performance.now() - this.#usedAt;
  }

  /** Resolves with the exit code, undefined when it is not known, when what ran in it has ended. */
  get ended(): Promise<number | undefined> {
    return this.#ended.promise;
  }

  /** @throws {ServiceError} `terminal.has_writer` */
  attach({ as, after }: AttachOptions): Attachment {
    const { writer } = this;
    if (as === 'write' && writer) throw new ServiceError('terminal.has_writer', { id: this.id });
    if (as === 'take' && writer) writer.isWriter = false;
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
