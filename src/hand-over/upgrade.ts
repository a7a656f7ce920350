/** Changes to the installed version, or back to the one before it. The service hands its host over; see docs/upgrade.md. */

import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Systemctl } from '../../ecs-agent-bridge/agent/systemctl.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { childEnvironment } from '../../settings/load.ts';
import { exchange, installedPrograms } from './programs.ts';

const UNIT = 'ecs-host-service.service';
const BETWEEN_LOOKS = 200;

/**
 * @returns the text to print
 * @throws {ServiceError} `upgrade.*`, `agent.systemd`
 */
export async function upgrade(
  environment: NodeJS.ProcessEnv,
  isRollback: boolean,
  programs = installedPrograms(),
): Promise<string> {
  if (!programs) throw new ServiceError('upgrade.not_installed', {});
  const env = childEnvironment(environment);
  const systemctl = new Systemctl(env);
  const state = await stateOf(systemctl);
  if (state !== 'active') throw new ServiceError('upgrade.not_running', { unit: UNIT, state });
  if (isRollback && !(await exchange(programs)))
    throw new ServiceError('upgrade.no_previous', { previous: programs.previous });
  const { ino } = await stat(programs.current);
  // It fails if the new version does not come up. What became of that is looked up below.
  await promisify(execFile)('systemctl', ['restart', UNIT], { env }).catch(() => {});
  const after = await settledState(systemctl);
  if (after !== 'active') throw new ServiceError('upgrade.failed', { unit: UNIT, state: after });
  if ((await stat(programs.current)).ino !== ino)
    throw new ServiceError('upgrade.rolled_back', { unit: UNIT });
  const { stdout } = await promisify(execFile)(programs.current, ['version'], { env });
  return `version ${stdout.trim()} has taken the host over\n`;
}

/** Waits until the unit neither starts nor ends; its own time limits apply. */
async function settledState(systemctl: Systemctl): Promise<string> {
  for (;;) {
    const state = await stateOf(systemctl);
    if (!['activating', 'deactivating', 'reloading'].includes(state) && !(await hasJob(systemctl)))
      return state;
    await pause(BETWEEN_LOOKS);
  }
}

async function stateOf(systemctl: Systemctl): Promise<string> {
  return await propertyOf(systemctl, 'ActiveState');
}

async function hasJob(systemctl: Systemctl): Promise<boolean> {
  return Number(await propertyOf(systemctl, 'Job')) !== 0;
}

async function propertyOf(systemctl: Systemctl, property: string): Promise<string> {
  const answer = await systemctl.run('show', UNIT, `--property=${property}`);
  return answer.trim().slice(property.length + 1);
}
