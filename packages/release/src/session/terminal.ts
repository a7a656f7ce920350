/** The terminal on this side: raw while a session has it, and as it was afterwards, however the process ends. */

import type { TerminalSize } from './payloads.ts';

/** What of process.stdin is needed. */
export interface TerminalInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  readonly isRaw?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

/** What of process.stdout is needed. */
export interface TerminalOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

const ASSUMED: TerminalSize = { columns: 80, rows: 24 };

export function sizeOf({ columns = ASSUMED.columns, rows = ASSUMED.rows }: TerminalOutput): TerminalSize {
  return { columns, rows };
}

/** Makes the terminal raw, so that every key goes to the program in the container, Ctrl-C too. */
export function takeTerminal(input: TerminalInput): Disposable {
  const wasRaw = input.isRaw ?? false;
  const restore = () => void input.setRawMode?.(wasRaw);
  input.setRawMode?.(true);
  // The last resort, should something end the process without unwinding.
  process.once('exit', restore);
  return {
    [Symbol.dispose]() {
      process.off('exit', restore);
      restore();
    },
  };
}

/** Calls `resized` for each new size. */
export function watchSize(output: TerminalOutput, resized: (size: TerminalSize) => void): Disposable {
  const tell = () => resized(sizeOf(output));
  output.on('resize', tell);
  return { [Symbol.dispose]: () => void output.off('resize', tell) };
}
