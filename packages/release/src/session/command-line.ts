/**
 * The command that goes to the agent, so that its exit code comes back. ECS Exec runs every command on a terminal and does
 * not tell how it ended, so a shell in the container runs it and prints the exit code between marks that no program prints.
 *
 * Without a terminal on this side, the shell also turns off echo and the rewriting of line ends. Input is sent as lines of
 * base64, because a terminal interprets bytes, and cuts lines at 4,096.
 *
 * Source: the agent splits the command with google/shlex (agent/session/shell/shell_unix.go), which knows single quotes.
 */

import { randomBytes } from 'node:crypto';

export interface ShellCommand {
  /** For ExecuteCommand. */
  readonly text: string;
  /** Printed before the program's output begins. */
  readonly startMark: string;
  /** Printed after it, followed by the exit code and MARK_END. */
  readonly endMark: string;
}

/** The record separator: a control character that terminals ignore. */
const RECORD = '\x1e';
export const MARK_END = RECORD;
/** Turns the terminal into a pipe, as far as the image has stty. */
const PLAIN = 'stty -echo -onlcr 2>/dev/null';

export interface CommandOptions {
  /** Words of a command; one word with blanks is a line for the shell. */
  readonly words: readonly string[];
  readonly hasTerminal: boolean;
  /** Whether input will be sent; only meant without a terminal. */
  readonly hasInput: boolean;
}

export function shellCommand({ words, hasTerminal, hasInput }: CommandOptions): ShellCommand {
  // A letter first: after \\036 a digit could be taken for a fourth one.
  const token = `x${randomBytes(8).toString('hex')}`;
  const [first = ''] = words;
  const program =
    words.length === 1 && /[\s|&;<>()$`\\"'*?#~=%!{}[\]]/.test(first) ? ['sh', '-c', first] : words;
  const command = program.map(quote).join(' ');
  // A shell with a handler survives the program's Ctrl-C, and the program does not inherit the handler.
  const steps = ['trap : INT QUIT'];
  if (!hasTerminal) steps.push(PLAIN);
  steps.push(`printf '\\036${token}:start\\036'`);
  if (hasTerminal) steps.push(command);
  else if (hasInput) steps.push(`base64 -d | ${command}`);
  else steps.push(`${command} </dev/null`);
  steps.push(`printf '\\036${token}:%d\\036' "$?"`);
  return {
    text: `sh -c ${quote(steps.join('; '))}`,
    startMark: `${RECORD}${token}:start${MARK_END}`,
    endMark: `${RECORD}${token}:`,
  };
}

/** Quotes a word for a POSIX shell and for google/shlex. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Bytes of input in a line: a multiple of 3, so that only the last line is padded. The agent takes 1,024 bytes a message. */
export const INPUT_LINE = 750;
/** Ends the input of a terminal that reads lines. */
export const END_OF_INPUT = Buffer.from([4]);

/** Cuts input into lines of base64; `flush` gives the rest. */
export class InputLines {
  #rest: Buffer = Buffer.alloc(0);

  *lines(chunk: Uint8Array): Generator<Buffer> {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const whole = bytes.length - (bytes.length % 3);
    for (let at = 0; at < whole; at += INPUT_LINE)
      yield line(bytes.subarray(at, Math.min(whole, at + INPUT_LINE)));
    this.#rest = bytes.subarray(whole);
  }

  *flush(): Generator<Buffer> {
    if (this.#rest.length > 0) yield line(this.#rest);
    this.#rest = Buffer.alloc(0);
    yield END_OF_INPUT;
  }
}

function line(bytes: Buffer): Buffer {
  return Buffer.from(`${bytes.toString('base64')}\n`);
}
