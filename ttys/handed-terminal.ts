/**
 * The data about a terminal that one service gives to the next. The connection to the programs in a container is passed
 * on as an open descriptor, because Docker provides it only once. Of a shell on the host, the pseudo-terminal is passed on.
 *
 * The data contains what users read and type. Times without a date are from `monotonic`.
 */

import { type Static, Type } from 'typebox';

const Cells = Type.Integer({ minimum: 1 });
const Bytes = Type.String({ pattern: '^[0-9A-Za-z+/]*={0,2}$' });
const Pid = Type.Integer({ minimum: 1 });
/** In base64: printed bytes that the terminal has not read, and typed bytes that the program has not read. */
const Between = { printed: Bytes, typed: Bytes };

export const HandedExec = Type.Object({
  /** Docker's id of the program. */
  id: Type.String({ pattern: '^[0-9a-f]+$' }),
  dockerId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  session: Type.Optional(Pid),
  ...Between,
});

export const HandedShell = Type.Object({
  /** The leader of its session. */
  leader: Type.Object({ pid: Pid, startTime: Type.String({ pattern: '^[0-9]+$' }) }),
  ...Between,
});

const COMMON = {
  id: Type.String({ pattern: '^[0-9a-f]{16}$' }),
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
};

/** `container`: the id of its container, or the name of its node. */
export const HandedInContainer = Type.Object({ ...COMMON, container: Type.String(), exec: HandedExec });
export const HandedOnHost = Type.Object({ ...COMMON, user: Type.String(), shell: HandedShell });

export type HandedExec = Static<typeof HandedExec>;
export type HandedShell = Static<typeof HandedShell>;
export type HandedInContainer = Static<typeof HandedInContainer>;
export type HandedOnHost = Static<typeof HandedOnHost>;
export type HandedTerminal = HandedInContainer | HandedOnHost;

/** The name of its connection among the descriptors. */
export function connectionOf(terminal: string): string {
  return `terminal-${terminal}`;
}

/** The name of the descriptor from which the exit code of a shell on the host comes. */
export function exitOf(terminal: string): string {
  return `${connectionOf(terminal)}-exit`;
}
