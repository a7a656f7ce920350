/** The client's side of a session in a test: streams that are not a terminal, or that behave like one. */

import { PassThrough, Readable, Writable } from 'node:stream';
import type { TerminalInput, TerminalOutput } from '../../src/session/terminal.ts';

export class Written extends Writable implements TerminalOutput {
  isTTY = false;
  columns = 80;
  rows = 24;
  #bytes: Buffer[] = [];
  #waiting: (() => void)[] = [];
  /** Milliseconds that each write takes. */
  slowness = 0;

  get bytes(): Buffer {
    return Buffer.concat(this.#bytes);
  }

  get text(): string {
    return this.bytes.toString();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#bytes.push(chunk);
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (this.slowness > 0) setTimeout(done, this.slowness);
    else done();
  }

  /** Resolves when everything that was written matches. */
  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** A person's terminal: the typed input, the size, and whether it is raw. */
export class Terminal {
  readonly keys = new PassThrough();
  readonly stdin: TerminalInput;
  readonly stdout = new Written();
  readonly stderr = new Written();
  readonly raw: boolean[] = [];

  constructor() {
    this.stdin = Object.assign(this.keys, {
      isTTY: true,
      isRaw: false,
      setRawMode: (isRaw: boolean) => this.raw.push(isRaw),
    });
    this.stdout.isTTY = true;
  }

  resize(columns: number, rows: number): void {
    Object.assign(this.stdout, { columns, rows });
    this.stdout.emit('resize');
  }
}

/** Pipes with the given input and then its end; without input, like a terminal at which nobody types. */
export function pipes(input?: string | Buffer) {
  const stdin: TerminalInput =
    input === undefined
      ? Object.assign(new PassThrough(), { isTTY: true })
      : Readable.from(input === '' ? [] : [input]);
  return { stdin, stdout: new Written(), stderr: new Written() };
}
