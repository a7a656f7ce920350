/** One who looks at a terminal, and may type into it while they are its writer. */

import type { Size } from './pty.ts';

/** What they see: what was printed; how many bytes they were too late for; whether they are the writer from now on. */
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
  /** How many bytes of all that was printed have been read. */
  place: number;
  isWriter: boolean;
  readonly #terminal: AttachedTo;

  constructor(place: number, isWriter: boolean, terminal: AttachedTo) {
    this.place = place;
    this.isWriter = isWriter;
    this.#terminal = terminal;
  }

  /** Once: what is seen, at the pace of whoever reads it, until they detach or the terminal has ended. */
  see(): AsyncGenerator<Seen> {
    return this.#terminal.see(this);
  }

  /** What watchers type goes nowhere. Resolves when more can be taken. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.isWriter) await this.#terminal.write(bytes);
  }

  /** The size of the terminal is that of its writer's. */
  async resize(size: Size): Promise<void> {
    if (this.isWriter) await this.#terminal.resize(size);
  }

  detach(): void {
    this.#terminal.detach(this);
  }
}
