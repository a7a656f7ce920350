/** How early a stop has to begin, so that all of it is done before EC2 takes the host. */

import type { ToSave } from '../../user-configs/user-configs.ts';

/** Milliseconds before EC2's moment at which everything is done. */
export const SPARE = 10_000;
/** Milliseconds for the last heartbeat, while saves go on; and for the last lines of the log, after them. */
const HEARTBEAT = 5000;
export const LAST_LINES = 5000;
export const REPORTS = HEARTBEAT + LAST_LINES;
/** Milliseconds for containers to end, which get ten seconds. */
const ENDING = 12_000;
const ENDING_EACH = 250;
/** Milliseconds that the ECS agent may take to report that its tasks have ended, while what was saved goes to S3. */
const AGENT = 10_000;
/** Bytes a second that are reckoned with until the rate was measured; and milliseconds of a save beside its bytes. */
const UNMEASURED = 10 * 2 ** 20;
const SAVE = 500;
/** Users go on to work, and a rate that was measured is not one that is promised. */
const CAUTION = 1.5;

export interface Load {
  readonly containers: number;
  readonly hasAgent: boolean;
  /** undefined where user configs are not kept. */
  readonly toSave: ToSave | undefined;
}

/** @returns milliseconds before EC2's moment */
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
