/**
 * Removes the marks of a shell command from its output. The program's output is between the marks, and the last mark
 * contains the exit code.
 */

import { MARK_END, type ShellCommand } from './command-line.ts';

/** The maximum number of digits of an exit code. */
const MOST_DIGITS = 4;

export class MarkedOutput {
  readonly #start: Buffer;
  readonly #end: Buffer;
  readonly #markEnd = Buffer.from(MARK_END);
  #rest: Buffer = Buffer.alloc(0);
  #hasStarted = false;
  #exitCode: number | undefined;

  constructor({ startMark, endMark }: Pick<ShellCommand, 'startMark' | 'endMark'>) {
    this.#start = Buffer.from(startMark);
    this.#end = Buffer.from(endMark);
  }

  /** Whether the shell in the container has started. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** undefined until the program has ended. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Returns the part of the output so far that is the program's. */
  push(chunk: Uint8Array): Buffer {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const parts: Buffer[] = [];
    if (!this.#hasStarted && !this.#takeStart(parts)) return Buffer.concat(parts);
    if (this.#exitCode === undefined) this.#takeEnd(parts);
    return Buffer.concat(parts);
  }

  /** Returns the rest when a session ends without the marks. It is usually an error of the agent or of the shell. */
  flush(): Buffer {
    const rest = this.#exitCode === undefined ? this.#rest : Buffer.alloc(0);
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  #takeStart(parts: Buffer[]): boolean {
    const at = this.#rest.indexOf(this.#start);
    parts.push(this.#take(at >= 0 ? at : this.#rest.length - overlap(this.#rest, this.#start)));
    if (at < 0) return false;
    this.#take(this.#start.length);
    this.#hasStarted = true;
    return true;
  }

  #takeEnd(parts: Buffer[]): void {
    const at = this.#rest.indexOf(this.#end);
    if (at < 0) {
      parts.push(this.#take(this.#rest.length - overlap(this.#rest, this.#end)));
      return;
    }
    parts.push(this.#take(at));
    const digits = this.#rest.subarray(this.#end.length);
    const end = digits.indexOf(this.#markEnd);
    if (end < 0) {
      if (digits.length > MOST_DIGITS) parts.push(this.#take(this.#end.length));
      return;
    }
    this.#exitCode = Number(digits.toString('latin1', 0, end));
    this.#rest = Buffer.alloc(0);
  }

  #take(length: number): Buffer {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}

/** Returns how many bytes at the end of `bytes` may be the beginning of `mark`. */
function overlap(bytes: Buffer, mark: Buffer): number {
  for (let length = Math.min(bytes.length, mark.length - 1); length > 0; length--)
    if (bytes.subarray(bytes.length - length).equals(mark.subarray(0, length))) return length;
  return 0;
}
