/** The JSON messages that the service sends on the WebSocket of a terminal. Bytes of output are binary messages. */

export type TerminalMessage =
  | {
      readonly type: 'attached';
      readonly terminal: string;
      readonly columns: number;
      readonly rows: number;
      /** The number of bytes of output that precede the first one that follows. */
      readonly after: number;
    }
  /** Whether this client is the writer from now on. */
  | { readonly type: 'writer'; readonly writes: boolean }
  /** The number of bytes of output that are no longer available. */
  | { readonly type: 'missed'; readonly bytes: number }
  /** `exitCode` is missing if it is unknown. */
  | { readonly type: 'ended'; readonly exitCode?: number };
