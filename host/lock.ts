/**
 * Ensures one service for each root directory. The lock is flock(2), which the kernel releases however the process
 * ends. Node has no flock, so flock(1) takes the lock on the open file that it inherits.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';

/**
 * The role of the holder. A starting service kills a running `wait` process to get the lock. This is safe, because
 * `wait` can be stopped at any moment without losing anything.
 */
export type Holder = 'service' | 'wait' | 'bury';

export interface LockOptions {
  /** The directory of the lock file. */
  readonly run: string;
  /** The root directory that the lock protects. */
  readonly root: string;
  readonly as: Holder;
}

/** Whether another process holds the lock. */
export function isLocked(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'start.locked';
}

/** Milliseconds between checks whether a killed holder has released the lock, and the number of checks. */
const BETWEEN_LOOKS = 20;
const LOOKS = 3000;

/** @throws {ServiceError} `start.locked` if another process holds the lock */
export async function lock(lifetime: Lifetime, { run, root, as }: LockOptions): Promise<void> {
  const path = join(run, 'lock');
  await lifetime.acquire({
    kind: 'lock',
    what: path,
    take: () => take(path, root, as),
    release: async (file) => {
      try {
        if (await isStillAt(path, file)) await rm(path);
      } finally {
        await file.close();
      }
    },
    seenGone: ({ fd }) => {
      if (fd >= 0) throw new ServiceError('still.there', { what: path, why: 'its file is open' });
      return 'its file is closed';
    },
  });
}

async function take(path: string, root: string, as: Holder): Promise<FileHandle> {
  for (let look = 1; ; look++) {
    const file = await open(path, 'a', 0o600);
    try {
      if (!(await locked(file.fd))) await makeWay(path, root, as, look);
      else if (await isStillAt(path, file)) {
        await file.truncate();
        await file.writeFile(`${process.pid} ${as}\n`);
        return file;
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
}

/** Returns when another attempt is worthwhile. @throws {ServiceError} `start.locked` */
async function makeWay(path: string, root: string, as: Holder, look: number): Promise<void> {
  const [pid = '', holder] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  // Until the new holder has written its id, the file names the previous one, whose id may belong to another process
  // now.
  const isHolder = await hasOpen(pid, path);
  if (as !== 'service' || (isHolder && holder === 'service') || look > LOOKS) {
    throw new ServiceError('start.locked', { owner: pid && ` (pid ${pid})`, root });
  }
  if (isHolder && holder === 'wait') await kill(pid);
  await pause(BETWEEN_LOOKS);
}

async function hasOpen(pid: string, path: string): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => []);
  const files = [path, ...names.map((name) => join(directory, name))];
  const [wanted, ...found] = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return found.some((one) => wanted && one?.ino === wanted.ino && one.dev === wanted.dev);
}

async function kill(pid: string): Promise<void> {
  const { PATH } = process.env;
  await once(spawn('sh', ['-c', 'kill -KILL "$0"', pid], { stdio: 'ignore', env: { PATH } }), 'exit');
}

async function locked(fd: number): Promise<boolean> {
  const flock = spawn('flock', ['--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', fd],
    env: { PATH: process.env.PATH },
  });
  const [code, signal] = await once(flock, 'exit');
  if (code !== 0 && code !== 1) throw new Error(`flock ended with ${signal ?? code}`);
  return code === 0;
}

/** The previous holder may have removed the file after we opened it and before we locked it. */
async function isStillAt(path: string, file: FileHandle): Promise<boolean> {
  try {
    return (await stat(path)).ino === (await file.stat()).ino;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
