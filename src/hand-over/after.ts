/**
 * Decides what becomes of a hand-over when a process of the service has ended and the hand-over is not complete. It goes
 * on if somebody starts the service again. An operator may have asked for a stop meanwhile. If the new version did not
 * come up, the previous one is put back, once. If that is not possible, it is a crash.
 */

import { Systemctl } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import type { Logger } from '../../logging/logger.ts';
import { childEnvironment } from '../../settings/load.ts';
import { causeOfDeath } from '../after-death/cause-of-death.ts';
import { installedPrograms, type Programs, putBack } from './programs.ts';
import { HANDED_OVER, isBeingRestarted } from './restarter.ts';
import { forgetHandOver, type HandOver, readHandOver, writeHandOver } from './state.ts';

/**
 * `none`: no hand-over is under way; `goes on`: the next service takes the host over; `stops`: all containers must end;
 * `failed`: it is a crash.
 */
export type Verdict = 'none' | 'goes on' | 'stops' | 'failed';

export interface Ended {
  /** As systemd or the launcher gives it to whoever cleans up. */
  readonly environment: NodeJS.ProcessEnv;
  readonly paths: Paths;
  /** The unit of the service; undefined if systemd does not run it. */
  readonly unit: string | undefined;
  readonly log: Logger;
}

/** @param programs undefined if nothing is installed that could be put back */
export async function judge(
  { environment, paths, unit, log }: Ended,
  programs = installedPrograms(),
): Promise<Verdict> {
  const found = await find(paths, log);
  if (!found) return 'none';
  if (await isStartedAgain(environment, unit, log)) {
    log.info('a hand-over is under way; the next service takes over');
    return 'goes on';
  }
  if (environment.SERVICE_RESULT === 'success') return 'stops';
  const cause = causeOfDeath(environment, undefined);
  if (unit && programs && (await isPutBack(found, { paths, programs }))) {
    const error = new ServiceError('handover.rolled_back', { cause });
    log.error({ error }, error.message);
    await restart(unit, environment);
    return 'goes on';
  }
  await forgetHandOver(paths);
  return 'failed';
}

/** An unreadable file was written by another version, and this version cannot use it. */
async function find(paths: Paths, log: Logger): Promise<HandOver | undefined> {
  try {
    return await readHandOver(paths);
  } catch (error) {
    log.error({ error }, messageOf(error));
    await forgetHandOver(paths);
    return undefined;
  }
}

async function isStartedAgain(
  environment: NodeJS.ProcessEnv,
  unit: string | undefined,
  log: Logger,
): Promise<boolean> {
  if (unit) return await isBeingRestarted(unit, environment, log);
  const { EXIT_CODE, EXIT_STATUS } = environment;
  return EXIT_CODE === 'exited' && EXIT_STATUS === String(HANDED_OVER);
}

/** @returns false if nothing can be put back, or if it has been put back before */
async function isPutBack(
  found: HandOver,
  { paths, programs }: { readonly paths: Paths; readonly programs: Programs },
): Promise<boolean> {
  if (!found.isReplaced || found.isRolledBack || !(await putBack(programs))) return false;
  const { format: _, ...state } = found;
  await writeHandOver(paths, { ...state, isRolledBack: true, isReplaced: false });
  return true;
}

/** The unit is ending at this moment. A restart, unlike a start, waits until it has ended. */
async function restart(unit: string, environment: NodeJS.ProcessEnv): Promise<void> {
  await new Systemctl(childEnvironment(environment)).run('restart', '--no-block', unit);
}
