/** A client that is attached to a terminal. It sees the output, and it may type while it is the writer. */

import type { Size } from './pty.ts';

/** What a client sees: output, the number of bytes that it missed, and whether it is the writer from now on. */
export type Seen =
  | { readonly bytes: Uint8Array }
  | { readonly missed: number }
  | { readonly isWriter: boolean };

interface AttachedTo {
  see(attachment: Attachment): AsyncGenerator<Seen>;
  write(bytes: Uint8Array): Promise<void>;
  resize(size: Size): Promise<void>;
  detach(attachment: Attachment): void;
}

export class Attachment {
  /** The number of bytes of the whole output that the client has read. */
  place: number;
  isWriter: boolean;
  readonly #terminal: AttachedTo;

  constructor(place: number, isWriter: boolean, terminal: AttachedTo) {
    this.place = place;
    this.isWriter = isWriter;
    this.#terminal = terminal;
  }

  /**
   * Yields what the client sees at the client's own pace, until it detaches or the terminal has ended. May be called
   * once.
   */
  see(): AsyncGenerator<Seen> {
    return this.#terminal.see(this);
  }

  /** Ignores the input of watchers. Resolves when more input can be accepted. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.isWriter) await this.#terminal.write(bytes);
  }

  /** The terminal has the size of its writer's terminal, so this ignores other clients. */
  async resize(size: Size): Promise<void> {
    if (this.isWriter) await this.#terminal.resize(size);
  }

  detach(): void {
    this.#terminal.detach(this);
  }
}
