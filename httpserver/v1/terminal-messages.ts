/** The messages on the WebSocket of a terminal: bytes are binary messages, everything else is JSON in text messages. */

import { type Static, Type } from 'typebox';

const MOST_CELLS = 4096;
const cells = (description: string) => Type.Integer({ minimum: 1, maximum: MOST_CELLS, description });

export const SIZE = { columns: cells('Number of characters in a line.'), rows: cells('Number of lines.') };

/** Messages from the client. */
export const Said = Type.Object({ type: Type.Literal('resize'), ...SIZE });
export type Said = Static<typeof Said>;

export const PROTOCOL =
  'The connection is a WebSocket. Binary messages carry the bytes that are typed and printed. Text messages are JSON. The service sends `{"type":"attached","terminal":ID,"columns":N,"rows":N,"after":N}` first, `{"type":"writer","writes":true|false}` whenever that changes, `{"type":"missed","bytes":N}` to a client that reads too slowly, and `{"type":"ended","exitCode":N}` last. The client may send `{"type":"resize","columns":N,"rows":N}`. An error in the handshake is answered with a Problem. The service closes the connection with status 1012 when another version of it takes the host over: attach to the terminal again, with `after`.';
