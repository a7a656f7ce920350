/** A person at a terminal, in which a program runs: types, reads the output, and changes the size. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IPty, spawn } from 'node-pty';

/** Programs ask a terminal for the position of its cursor, and the terminal answers. */
const WHERE = '\x1b[6n';
const HERE = '\x1b[24;1R';

export interface PersonOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

export class Person {
  readonly #pty: IPty;
  readonly #ended = Promise.withResolvers<number>();
  #more = Promise.withResolvers<void>();
  /** All output. */
  printed = '';

  constructor(file: string, words: readonly string[], { env, columns = 80, rows = 24 }: PersonOptions) {
    this.#pty = spawn(file, [...words], { cols: columns, rows, env: { ...env }, name: 'xterm' });
    this.#pty.onData((text) => {
      this.printed += text;
      if (text.includes(WHERE)) this.type(HERE);
      this.#wake();
    });
    this.#pty.onExit(({ exitCode, signal }) => {
      this.#ended.resolve(signal ? -signal : exitCode);
      this.#wake();
    });
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  get pid(): number {
    return this.#pty.pid;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  /** Waits for new output that matches, and marks everything up to its end as read. */
  async sees(wanted: RegExp, milliseconds = 60_000): Promise<RegExpExecArray> {
    const late = AbortSignal.timeout(milliseconds);
    for (;;) {
      const found = wanted.exec(this.printed);
      if (found) {
        this.printed = this.printed.slice(found.index + found[0].length);
        return found;
      }
      const more = this.#more.promise;
      await Promise.race([more, once(late, 'abort')]);
      assert.ok(!late.aborted, `${wanted} was not seen in ${JSON.stringify(this.printed.slice(-2000))}`);
    }
  }

  /** @returns the exit code, or the negative number of a signal */
  async ended(): Promise<number> {
    return await this.#ended.promise;
  }

  /** Disconnects: the kernel sends SIGHUP to the programs in the terminal. */
  kill(signal = 'SIGHUP'): void {
    this.#pty.kill(signal);
  }
}
