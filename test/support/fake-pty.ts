/** A pseudo-terminal without a program: a test prints into it, and reads the input. */

import type { Pty, Size } from '../../ttys/pty.ts';

export class FakePty implements Pty {
  readonly typed: Buffer[] = [];
  readonly sizes: Size[] = [];
  isHungUp = false;
  /** Requested chunks. */
  read = 0;
  protected readonly chunks: Uint8Array[] = [];
  #isOver = false;
  #code: number | undefined;
  #more = Promise.withResolvers<void>();

  print(...chunks: readonly (string | Uint8Array)[]): void {
    this.chunks.push(...chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)));
    this.#more.resolve();
  }

  end(code?: number): void {
    this.#isOver = true;
    this.#code = code;
    this.#more.resolve();
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.chunks.shift();
      if (chunk) {
        this.read += 1;
        yield chunk;
      } else if (this.#isOver) return;
      else {
        this.#more = Promise.withResolvers();
        await this.#more.promise;
      }
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.typed.push(Buffer.from(bytes));
  }

  async resize(size: Size): Promise<void> {
    this.sizes.push(size);
  }

  async exitCode(): Promise<number | undefined> {
    return this.#code;
  }

  async hangUp(): Promise<void> {
    this.isHungUp = true;
    this.end();
  }

  async seenGone(): Promise<string> {
    return 'hung up';
  }

  abandon(): void {
    void this.hangUp();
  }
}

/** A pseudo-terminal that can be handed over. */
export class PassablePty extends FakePty {
  readonly handed = { exec: { id: 'e', dockerId: '0'.repeat(64), printed: '', typed: '' } };
  isAbandoned = false;

  passOn(keep: (descriptor: number) => void): boolean {
    keep(7);
    this.chunks.splice(0);
    this.end();
    return true;
  }

  override abandon(): void {
    this.isAbandoned = true;
  }
}
