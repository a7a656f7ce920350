/**
 * Files of users that are too large to be saved: no further attempt would end otherwise. The last checkpoint stays
 * current in S3, and the files stay on the host for some hours, for an operator to look after, before they are removed.
 * They are in a directory of root's whose name has the time, in milliseconds since 1970, and are moved there as a whole
 * once their container is proven gone.
 */

import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { removeIfEmpty, removeTree } from '../host/directories.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';

/** Milliseconds between looks for what has been kept for long enough. */
const BETWEEN = 60_000;
const NAME = /^[0-9a-f]{60}\.(\d+)$/;

/** Whether the files of a session can never be saved. */
export function isFinal(error: unknown): error is ServiceError {
  return error instanceof ServiceError && error.code === 'config.too_large';
}

/** @param own the directory of a container that is gone @returns where it is now */
export async function keepFiles({ kept }: Paths, id: string, own: string, now = Date.now()): Promise<string> {
  await mkdir(kept, { mode: 0o700, recursive: true });
  const path = join(kept, `${id}.${now}`);
  await rename(own, path);
  return path;
}

/** How many containers left files that are kept. */
export async function countKept({ kept }: Paths): Promise<number> {
  return (await namesIn(kept)).length;
}

export interface KeepingTime {
  readonly paths: Paths;
  readonly hours: number;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** Removes what has been kept for long enough, now and from time to time. */
export async function removeKeptInTime(lifetime: Lifetime, keeping: KeepingTime): Promise<void> {
  await removeKept(keeping);
  const again = () => void lifetime.track('removing kept files', removeKept(keeping));
  const timer = setInterval(again, BETWEEN).unref();
  lifetime.signal.addEventListener('abort', () => clearInterval(timer));
}

/** Resolves when nothing is kept any more. @throws the reason of `signal` */
export async function nothingKept(paths: Paths, signal: AbortSignal): Promise<void> {
  while ((await countKept(paths)) > 0) await pause(BETWEEN, undefined, { signal });
}

/** Never rejects: what cannot be removed is tried again. */
export async function removeKept({ paths, hours, log, now = Date.now }: KeepingTime): Promise<void> {
  for (const name of await namesIn(paths.kept)) {
    const since = Number(NAME.exec(name)?.[1]);
    if (now() - since < hours * 3_600_000) continue;
    const path = join(paths.kept, name);
    try {
      await removeTree(path);
      log.warn(
        { container: name.split('.')[0], path },
        "removed a user's files that were too large to be saved",
      );
    } catch (error) {
      log.warn({ path, why: messageOf(error) }, 'could not remove kept files');
    }
  }
  await removeIfEmpty(paths.kept);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => NAME.test(name));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
