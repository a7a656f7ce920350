/**
 * Stores the lock and the history as named texts. A write succeeds only if nobody else wrote meanwhile. An S3 bucket
 * guarantees that for all machines, and a directory for one machine.
 */

export interface Stored {
  readonly text: string;
  readonly version: string;
}

export interface Store {
  /** The store's location, for messages. */
  readonly place: string;
  read(name: string): Promise<Stored | undefined>;
  /**
   * @param version the version that was read; undefined: there was none
   * @returns the new version, or undefined when another process wrote first
   */
  write(name: string, text: string, version: string | undefined): Promise<string | undefined>;
  /** @returns the names that begin with `prefix`, sorted */
  list(prefix: string): Promise<readonly string[]>;
}
