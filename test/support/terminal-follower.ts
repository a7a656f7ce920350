/** A client of a program in a terminal that reattaches whenever the service tells it to. */

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from './site.ts';
import { TerminalClient } from './terminal-client.ts';

export class TerminalFollower implements Disposable {
  readonly #root: string;
  readonly #chunks: Buffer[] = [];
  #client: TerminalClient | undefined;
  /** The input that was sent while there was a connection. */
  typed = '';

  constructor(root: string) {
    this.#root = root;
  }

  async open(path: string): Promise<void> {
    this.#client = await TerminalClient.open(this.#root, path, (bytes) => this.#chunks.push(bytes));
  }

  get client(): TerminalClient {
    return this.#client as TerminalClient;
  }

  get output(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0);
  }

  /** Resolves when the program has ended. @returns its exit code */
  async follow(): Promise<unknown> {
    const { terminal } = this.client;
    for (;;) {
      const { client } = this;
      await client.until(() => client.isClosed);
      const { type, exitCode } = client.told.at(-1) ?? {};
      if (type === 'ended') return exitCode;
      assert.equal(client.closed, 1012);
      const after = this.bytes;
      const isBack = () =>
        this.open(`/terminals/${terminal}/attach?after=${after}`).then(
          () => true,
          () => false,
        );
      await until('it is attached again', isBack);
      assert.equal(this.client.told[0]?.after, after);
    }
  }

  [Symbol.dispose](): void {
    this.client.socket.terminate();
  }

  /** Sends input continuously, until it is told to stop. */
  async typeUntil(isOver: () => boolean): Promise<void> {
    for (let i = 0; !isOver(); i++) {
      const letter = String.fromCharCode(97 + (i % 26));
      this.client.socket.send(Buffer.from(letter), (error) => {
        if (!error) this.typed += letter;
      });
      await pause(5);
    }
  }
}

/** The part of a terminal's path that names its program. */
export function commandQuery(...words: readonly string[]): string {
  return words.map((word) => `command=${encodeURIComponent(word)}`).join('&');
}
