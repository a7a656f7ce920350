/**
 * The data about a terminal in a container that one service gives to the next. The connection to the terminal's
 * programs is passed on as an open descriptor, because Docker provides it only once.
 *
 * The data contains what users read and type. Times without a date are from `monotonic`.
 */

import { type Static, Type } from 'typebox';

const Cells = Type.Integer({ minimum: 1 });
const Bytes = Type.String({ pattern: '^[0-9A-Za-z+/]*={0,2}$' });

export const HandedExec = Type.Object({
  /** Docker's id of the program. */
  id: Type.String({ pattern: '^[0-9a-f]+$' }),
  dockerId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  session: Type.Optional(Type.Integer({ minimum: 1 })),
  /** In base64: printed bytes that the terminal has not read, and typed bytes that the program has not read. */
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
  /** The number of bytes in the whole output, and the last ones in base64. */
  end: Type.Integer({ minimum: 0 }),
  kept: Bytes,
  /** The number of bytes of the output that its writer has; missing if it had no writer. */
  writer: Type.Optional(Type.Integer({ minimum: 0 })),
  exec: HandedExec,
});

export type HandedExec = Static<typeof HandedExec>;
export type HandedTerminal = Static<typeof HandedTerminal>;

/** The name of its connection among the descriptors. */
export function connectionOf(terminal: string): string {
  return `terminal-${terminal}`;
}
