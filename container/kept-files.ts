/**
 * Users' files that are too large to be saved; another attempt would fail in the same way. The last checkpoint stays
 * current in S3, and the files stay on the host for some hours, so that an operator can copy them. They are in a
 * directory that only root can enter; its name contains the time in milliseconds since 1970. They are moved there when
 * their container is proven gone.
 */

import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import { removeIfEmpty, removeTree } from '../host/directories.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';

/** Milliseconds between checks for expired files. */
const BETWEEN = 60_000;
const NAME = /^[0-9a-f]{60}\.(\d+)$/;

/** Whether the files of a session can never be saved. */
export function isFinal(error: unknown): error is ServiceError {
  return error instanceof ServiceError && error.code === 'config.too_large';
}

/** @param own the directory of a container that is gone @returns the new path */
export async function keepFiles({ kept }: Paths, id: string, own: string, now = Date.now()): Promise<string> {
  await mkdir(kept, { mode: 0o700, recursive: true });
  const path = join(kept, `${id}.${now}`);
  await rename(own, path);
  return path;
}

/** The number of containers whose files are kept. */
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

/** Removes expired files, now and regularly. */
export async function removeKeptInTime(lifetime: Lifetime, keeping: KeepingTime): Promise<void> {
  await removeKept(keeping);
  const again = () => void lifetime.track('removing kept files', removeKept(keeping));
  const timer = setInterval(again, BETWEEN).unref();
  lifetime.signal.addEventListener('abort', () => clearInterval(timer));
}

/** Resolves when no files are kept. @throws the reason of `signal` */
export async function nothingKept(paths: Paths, signal: AbortSignal): Promise<void> {
  while ((await countKept(paths)) > 0) await pause(BETWEEN, undefined, { signal });
}

/** Never rejects: a failed removal is retried. */
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
