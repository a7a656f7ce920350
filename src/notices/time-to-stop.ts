/** Computes how early a stop must begin to be complete before EC2 reclaims the host. */

import type { ToSave } from '../../user-configs/user-configs.ts';

/** Milliseconds before EC2's time at which everything must be done. */
export const SPARE = 10_000;
/** Milliseconds for the last heartbeat, while saves go on; and for the last lines of the log, after them. */
const HEARTBEAT = 5000;
export const LAST_LINES = 5000;
export const REPORTS = HEARTBEAT + LAST_LINES;
/** Milliseconds for containers to end, which get ten seconds. */
const ENDING = 12_000;
const ENDING_EACH = 250;
/** Milliseconds for the ECS agent to report that its tasks have ended, while saves are uploaded. */
const AGENT = 10_000;
/** The assumed upload rate in bytes per second until one is measured; and the overhead of a save in milliseconds. */
const UNMEASURED = 10 * 2 ** 20;
const SAVE = 500;
/** A safety factor: users continue to work, and the rate may drop. */
const CAUTION = 1.5;

export interface Load {
  readonly containers: number;
  readonly hasAgent: boolean;
  /** undefined if user configs are not kept. */
  readonly toSave: ToSave | undefined;
}

/** @returns milliseconds before EC2's time */
export function timeToStop({ containers, hasAgent, toSave }: Load): number {
  const ends = containers > 0 ? ENDING + ENDING_EACH * containers : 0;
  const agent = hasAgent && containers > 0 ? AGENT : 0;
  return SPARE + REPORTS + ends + Math.max(agent, timeToSave(toSave));
}

function timeToSave(toSave: ToSave | undefined): number {
  if (!toSave) return 0;
  const { sessions, bytes, perSecond = UNMEASURED } = toSave;
  return CAUTION * (SAVE * sessions + (1000 * bytes) / Math.max(perSecond, 1));
}
