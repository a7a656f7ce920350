/** The interface of a pseudo-terminal, whether its programs run in a container or on the host. */

import type { HandedExec, HandedShell } from './handed-terminal.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/**
 * Keeps a descriptor open beyond this process.
 * @param exit where the exit code of the program comes from; otherwise it is the connection
 */
export type Keep = (descriptor: number, exit?: 'exit') => void;

export interface Pty {
  /** The output, until no process can write any more. If it is not read, the writing process blocks. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when more input can be accepted. */
  write(bytes: Uint8Array): Promise<void>;
  resize(size: Size): Promise<void>;
  /** The exit code of the program, once the output has ended; undefined if unknown. */
  exitCode(): Promise<number | undefined>;
  /** Ends all processes of the terminal, by force if necessary. */
  hangUp(): Promise<void>;
  /** Says how it was observed that no process of the terminal runs. @throws {ServiceError} `still.there` */
  seenGone(): Promise<string>;
  /** Starts the hang-up when the caller cannot wait for it. Has no effect after `passOn`. */
  abandon(): void;
  /**
   * Stops reading and writing, while the programs keep running for the next process. The output ends. Later input is
   * kept for the next process. Missing if this is impossible.
   * @returns false if the connection has ended
   */
  passOn?(keep: Keep): boolean;
  /** The data with which the next process continues. To be read after `passOn`. */
  readonly handed?: { readonly exec: HandedExec } | { readonly shell: HandedShell };
}
