/** The messages on the WebSocket of a terminal: bytes are binary messages, everything else is JSON in text messages. */

import { type Static, Type } from 'typebox';

const MOST_CELLS = 4096;
const cells = (description: string) => Type.Integer({ minimum: 1, maximum: MOST_CELLS, description });

export const SIZE = { columns: cells('Number of characters in a line.'), rows: cells('Number of lines.') };

/** Messages from the client. */
export const Said = Type.Object({ type: Type.Literal('resize'), ...SIZE });
export type Said = Static<typeof Said>;

/** Messages from the service. */
export type Told =
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

export const PROTOCOL =
  'The connection is a WebSocket. Binary messages carry the bytes that are typed and printed. Text messages are JSON. The service sends `{"type":"attached","terminal":ID,"columns":N,"rows":N,"after":N}` first, `{"type":"writer","writes":true|false}` whenever that changes, `{"type":"missed","bytes":N}` to a client that reads too slowly, and `{"type":"ended","exitCode":N}` last. The client may send `{"type":"resize","columns":N,"rows":N}`. An error in the handshake is answered with a Problem.';
