/**
 * Where lock and history are kept: named texts that can be written on the condition that nobody wrote meanwhile. An
 * S3 bucket does that for all machines, a directory for one.
 */

export interface Stored {
  readonly text: string;
  readonly version: string;
}

export interface Store {
  /** As people know it. */
  readonly place: string;
  read(name: string): Promise<Stored | undefined>;
  /**
   * @param version what was read before; undefined: nothing was there
   * @returns the new version, or undefined: somebody else has written
   */
  write(name: string, text: string, version: string | undefined): Promise<string | undefined>;
  /** Names that begin with `prefix`, in order. */
  list(prefix: string): Promise<readonly string[]>;
}
