/**
 * Recognises a hand-over that simply goes on, before the rest of `bury` is loaded, which takes five times as long. The
 * next service starts after that, and its callers wait meanwhile.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Paths, pathsBelow } from '../../host/paths.ts';
import { createLogger, openStdout } from '../../logging/logger.ts';
import { HANDED_OVER, isBeingRestarted, unitOfProcess } from './restarter.ts';

export function handOverFile({ run }: Pick<Paths, 'run'>): string {
  return join(run, 'hand-over.json');
}

/** @param words the arguments of `bury` @param environment as systemd or the launcher gives it to whoever cleans up */
export async function goesOn(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<boolean> {
  const { EXIT_CODE, EXIT_STATUS, ROOT } = environment;
  if (EXIT_CODE !== 'exited' || EXIT_STATUS !== String(HANDED_OVER)) return false;
  if (!existsSync(handOverFile(pathsBelow(ROOT || '/')))) return false;
  const log = createLogger({ level: 'info', stream: await openStdout(false) });
  const unit = words.includes('--wait-unit') ? await unitOfProcess() : undefined;
  if (unit && !(await isBeingRestarted(unit, environment, log))) return false;
  log.info('a hand-over is under way; the next service takes over');
  return true;
}
