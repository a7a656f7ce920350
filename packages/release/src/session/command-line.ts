/**
 * Builds the command for the agent so that its exit code comes back. ECS Exec runs every command on a terminal and does
 * not report how it ended. Therefore a shell in the container runs the command, and prints the exit code between marks
 * that no program prints.
 *
 * If this side has no terminal, the shell also turns off echo and the rewriting of line ends. Input is sent as lines of
 * base64, because a terminal interprets control bytes and cuts lines at 4,096 bytes.
 *
 * Source: the agent splits the command with google/shlex (agent/session/shell/shell_unix.go), which supports single
 * quotes.
 */

import { randomBytes } from 'node:crypto';

export interface ShellCommand {
  /** The command for ExecuteCommand. */
  readonly text: string;
  /** Printed before the program's output. */
  readonly startMark: string;
  /** Printed after the output, followed by the exit code and MARK_END. */
  readonly endMark: string;
}

/** The record separator: a control character that terminals ignore. */
const RECORD = '\x1e';
export const MARK_END = RECORD;
/** Makes the terminal behave like a pipe, if the image has stty. */
const PLAIN = 'stty -echo -onlcr 2>/dev/null';

export interface CommandOptions {
  /** The words of a command. A single word with blanks or shell syntax is a line for the shell. */
  readonly words: readonly string[];
  readonly hasTerminal: boolean;
  /** Whether input will be sent. It matters only without a terminal. */
  readonly hasInput: boolean;
}

export function shellCommand({ words, hasTerminal, hasInput }: CommandOptions): ShellCommand {
  // The token starts with a letter, so that it cannot be read as part of the octal escape before it.
  const token = `x${randomBytes(8).toString('hex')}`;
  const [first = ''] = words;
  const program =
    words.length === 1 && /[\s|&;<>()$`\\"'*?#~=%!{}[\]]/.test(first) ? ['sh', '-c', first] : words;
  const command = program.map(quote).join(' ');
  // A shell with a handler survives the program's Ctrl-C. The program does not inherit the handler.
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

/**
 * Bytes of input per line. It is a multiple of 3, so that only the last line is padded. A line fits into the 1,024
 * bytes that the agent accepts per message.
 */
export const INPUT_LINE = 750;
/** Ends the input of a terminal that reads lines (EOT). */
export const END_OF_INPUT = Buffer.from([4]);

/** Cuts input into lines of base64. `flush` returns the rest. */
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
