/** The local terminal. It is raw during a session, and is restored however the process ends. */

import type { TerminalSize } from './payloads.ts';

/** The parts of process.stdin that a session needs. */
export interface TerminalInput extends NodeJS.ReadableStream {
  readonly isTTY?: boolean;
  readonly isRaw?: boolean;
  setRawMode?(isRaw: boolean): unknown;
}

/** The parts of process.stdout that a session needs. */
export interface TerminalOutput extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

const ASSUMED: TerminalSize = { columns: 80, rows: 24 };

export function sizeOf({ columns = ASSUMED.columns, rows = ASSUMED.rows }: TerminalOutput): TerminalSize {
  return { columns, rows };
}

/** Makes the terminal raw, so that the program in the container gets every key, including Ctrl-C. */
export function takeTerminal(input: TerminalInput): Disposable {
  const wasRaw = input.isRaw ?? false;
  const restore = () => void input.setRawMode?.(wasRaw);
  input.setRawMode?.(true);
  // A fallback for an exit that skips the disposal.
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
