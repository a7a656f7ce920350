/**
 * The file in which one service tells the next what neither the kernel, nor Docker, nor the ledger knows. It is on a
 * tmpfs and readable by root alone, because it contains secrets. It is there from the moment at which the old service
 * lets go of its containers until the new one is complete, so its presence says that a hand-over is under way.
 *
 * A reader takes the whole file or nothing of it. Without it, a hand-over is a crash.
 */

import { readFile, rm } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import { HandedContainer, HandedKept, HandedPools } from '../../container/handed-over.ts';
import { isSystemError, messageOf, ServiceError } from '../../errors/service-error.ts';
import { writeFileAtomically } from '../../host/atomic-file.ts';
import type { Paths } from '../../host/paths.ts';
import { HandedSessions } from '../../httpserver/console/sessions.ts';
import { misfit } from '../../parsing/json.ts';
import { handOverFile } from './goes-on.ts';

/** The version of the format. A reader refuses any other. */
const FORMAT = 1;

export const HandOver = Type.Object({
  format: Type.Literal(FORMAT),
  /** The service that hands over. */
  from: Type.Object({ pid: Type.Integer(), version: Type.String() }),
  /** Whether another version was installed since the service that hands over was started. */
  isReplaced: Type.Boolean(),
  /** Whether the previous version was put back, because the new one did not come up. */
  isRolledBack: Type.Optional(Type.Literal(true)),
  isDraining: Type.Boolean(),
  containers: Type.Array(HandedContainer),
  kept: Type.Array(HandedKept),
  pools: Type.Optional(HandedPools),
  /** Each is a `HandedTerminal`. A terminal whose entry is invalid ends, and the others go on. */
  terminals: Type.Optional(Type.Array(Type.Unknown())),
  events: Type.Object({
    service: Type.String({ pattern: '^[0-9a-f]{8}$' }),
    told: Type.Integer({ minimum: 0 }),
    kept: Type.Array(Type.Object({ id: Type.String(), at: Type.String(), code: Type.String() })),
  }),
  /** Missing if an older version wrote the file. */
  sessions: Type.Optional(HandedSessions),
  /** Answered requests with an idempotency key. */
  requests: Type.Array(
    Type.Object({
      name: Type.String(),
      digest: Type.String(),
      answer: Type.Object({ id: Type.String(), state: Type.String() }),
    }),
  ),
});

export type HandOver = Static<typeof HandOver>;

/** @throws {ServiceError} `host.filesystem` */
export async function writeHandOver(
  paths: Pick<Paths, 'run'>,
  state: Omit<HandOver, 'format'>,
): Promise<void> {
  await writeFileAtomically(handOverFile(paths), JSON.stringify({ format: FORMAT, ...state }), 0o600);
}

/**
 * @returns undefined if no hand-over is under way
 * @throws {ServiceError} `handover.unreadable`
 */
export async function readHandOver(paths: Pick<Paths, 'run'>): Promise<HandOver | undefined> {
  const path = handOverFile(paths);
  try {
    const content: unknown = JSON.parse(await readFile(path, 'utf8'));
    const why = misfit(HandOver, content);
    if (why !== undefined) throw new Error(why);
    return content as HandOver;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    // The parser's message would repeat a part of the file.
    const why = error instanceof SyntaxError ? 'it is not JSON' : messageOf(error);
    throw new ServiceError('handover.unreadable', { path, why });
  }
}

/** To be called when the hand-over is complete, or has become a stop or a crash. */
export async function forgetHandOver(paths: Pick<Paths, 'run'>): Promise<void> {
  await rm(handOverFile(paths), { force: true });
}
