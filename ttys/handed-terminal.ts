/**
 * What one service tells the next about a terminal in a container. The connection to its programs waits as an open
 * descriptor, because Docker gives it only once.
 *
 * It contains what users read and type. Times without a date are of `monotonic`.
 */

import { type Static, Type } from 'typebox';

const Cells = Type.Integer({ minimum: 1 });
const Bytes = Type.String({ pattern: '^[0-9A-Za-z+/]*={0,2}$' });

export const HandedExec = Type.Object({
  /** Docker's id of the program. */
  id: Type.String({ pattern: '^[0-9a-f]+$' }),
  dockerId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  session: Type.Optional(Type.Integer({ minimum: 1 })),
  /** Printed bytes that the terminal has not taken, and typed bytes that the program has not, in base64. */
  printed: Bytes,
  typed: Bytes,
});

export const HandedTerminal = Type.Object({
  id: Type.String({ pattern: '^[0-9a-f]{16}$' }),
  /** The id of its container, or the name of its node. */
  container: Type.String(),
  program: Type.String(),
  user: Type.Optional(Type.String()),
  by: Type.String(),
  began: Type.String({ format: 'date-time' }),
  size: Type.Object({ columns: Cells, rows: Cells }),
  /** When a client last used it. */
  used: Type.Number(),
  /** The number of bytes of the whole output, and the last ones in base64. */
  end: Type.Integer({ minimum: 0 }),
  kept: Bytes,
  /** How much of the output its writer has; missing if it had no writer. */
  writer: Type.Optional(Type.Integer({ minimum: 0 })),
  exec: HandedExec,
});

export type HandedExec = Static<typeof HandedExec>;
export type HandedTerminal = Static<typeof HandedTerminal>;

/** The name of its connection among the descriptors. */
export function connectionOf(terminal: string): string {
  return `terminal-${terminal}`;
}
