/**
 * A pseudo-terminal that keeps running while no client is attached. A client that attaches sees the last output and
 * then the new output. One client is the writer.
 *
 * INVARIANTS
 * - Memory is bounded, however slowly clients read. Output that the writer has not read is not overwritten; instead the
 * program in the terminal blocks. Other clients miss the output for which they are too slow, and learn how much.
 * - There is at most one writer.
 */

import { ServiceError } from '../errors/service-error.ts';
import { Attachment, type Seen } from './attachment.ts';
import type { Pty, Size } from './pty.ts';
import { KEPT, Scrollback } from './scrollback.ts';

/** How far the writer may lag behind, in bytes. */
const MOST_BEHIND = KEPT / 2;

export interface AttachOptions {
  /**
   * `write`: becomes the writer if there is none. `take`: becomes the writer, and the present writer becomes a watcher.
   */
  readonly as: 'write' | 'take' | 'watch';
  /** The number of bytes that the client already has; undefined: show the kept output. */
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
  /** A `performance.now()` value. */
  #usedAt = performance.now();

  /** Reads the output until the program in the terminal has ended. */
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
      // The stream of the output broke; the exit code says what happened.
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
