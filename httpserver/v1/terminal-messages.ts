/** What is said over the WebSocket of a terminal: bytes as binary messages, everything else as text ones with JSON. */

import { type Static, Type } from 'typebox';

const MOST_CELLS = 4096;
const cells = (description: string) => Type.Integer({ minimum: 1, maximum: MOST_CELLS, description });

export const SIZE = { columns: cells('Characters in a line.'), rows: cells('Lines.') };

/** What a client says. */
export const Said = Type.Object({ type: Type.Literal('resize'), ...SIZE });
export type Said = Static<typeof Said>;

/** What the service says. */
export type Told =
  | {
      readonly type: 'attached';
      readonly terminal: string;
      readonly columns: number;
      readonly rows: number;
      /** The bytes that were printed before the first one that follows. */
      readonly after: number;
    }
  /** Whether this client is the writer from now on. */
  | { readonly type: 'writer'; readonly writes: boolean }
  /** Bytes that are not kept any more. */
  | { readonly type: 'missed'; readonly bytes: number }
  /** `exitCode` is left out when it is not known. */
  | { readonly type: 'ended'; readonly exitCode?: number };

export const PROTOCOL =
  'A WebSocket: binary messages are bytes, typed and printed. Text messages are JSON: the service says `{"type":"attached","terminal":ID,"columns":N,"rows":N,"after":N}` first, `{"type":"writer","writes":true|false}` whenever that changes, `{"type":"missed","bytes":N}` to one who reads too slowly, and `{"type":"ended","exitCode":N}` last; a client says `{"type":"resize","columns":N,"rows":N}`. What is wrong with the handshake is told as a problem.';
