/** A pseudo-terminal as the service holds it, wherever what runs in it does. */

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export interface Pty {
  /** What is printed, until nobody can print any more; not read, whoever prints waits. */
  readonly output: AsyncIterable<Uint8Array>;
  /** Resolves when more can be taken. */
  write(bytes: Uint8Array): Promise<void>;
  resize(size: Size): Promise<void>;
  /** The exit code of what ran in it, once the output is over; undefined: it is not known. */
  exitCode(): Promise<number | undefined>;
  /** Ends everything that runs in it, at once if need be. */
  hangUp(): Promise<void>;
  /** Says how it was seen that nothing runs in it. @throws {ServiceError} `still.there` */
  seenGone(): Promise<string>;
  /** Begins to hang up, where nobody can wait for it. */
  abandon(): void;
}
