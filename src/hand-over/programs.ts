/** The installed executables: the one that systemd starts, and the one of the version before it. */

import { readlink, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';
import { isSystemError } from '../../errors/service-error.ts';

export interface Programs {
  readonly current: string;
  readonly previous: string;
}

/** @returns undefined if this program is not installed */
export function installedPrograms(): Programs | undefined {
  return isSea() ? programsIn(dirname(process.execPath)) : undefined;
}

export function programsIn(directory: string): Programs {
  const current = join(directory, 'ecs-host-service');
  return { current, previous: `${current}.previous` };
}

/** Whether another version was installed since this process was started. Source: proc_pid_exe(5). */
export async function isReplaced(programs = installedPrograms()): Promise<boolean> {
  // The kernel marks the path of a replaced file as deleted.
  return programs !== undefined && (await readlink('/proc/self/exe')) !== programs.current;
}

/**
 * Puts the previous executable back in place of one that does not work, which stays beside it.
 * @returns false if there is no previous one
 */
export async function putBack({ current, previous }: Programs): Promise<boolean> {
  if (!(await isThere(previous))) return false;
  await rename(current, `${current}.failed`);
  await rename(previous, current);
  return true;
}

/**
 * Exchanges the two executables.
 * @returns false if there is no previous one
 */
export async function exchange({ current, previous }: Programs): Promise<boolean> {
  if (!(await isThere(previous))) return false;
  const aside = `${current}.aside`;
  await rename(current, aside);
  await rename(previous, current);
  await rename(aside, previous);
  return true;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
