/** The interface of a pseudo-terminal, whether its programs run in a container or on the host. */

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

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
  /** Starts the hang-up when the caller cannot wait for it. */
  abandon(): void;
}
