/**
 * One service for each root directory. The lock is flock(2), which the kernel gives back whatever way the
 * process ends; flock(1) takes it on the open file that it inherits from us, because Node cannot.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';

/** @throws {ServiceError} `start.locked` when another process has it */
export async function lock(lifetime: Lifetime, run: string, root: string): Promise<void> {
  const path = join(run, 'lock');
  await lifetime.acquire({
    kind: 'lock',
    what: path,
    take: () => take(path, root),
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

async function take(path: string, root: string): Promise<FileHandle> {
  for (;;) {
    const file = await open(path, 'a', 0o600);
    try {
      if (!(await locked(file.fd))) throw await refusal(path, root);
      if (await isStillAt(path, file)) {
        await file.truncate();
        await file.writeFile(`${process.pid}\n`);
        return file;
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
}

async function refusal(path: string, root: string): Promise<ServiceError> {
  const pid = (await readFile(path, 'utf8').catch(() => '')).trim();
  return new ServiceError('start.locked', { owner: pid && ` (pid ${pid})`, root });
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

/** Whoever held it before may have removed the file between our opening and our locking it. */
async function isStillAt(path: string, file: FileHandle): Promise<boolean> {
  try {
    return (await stat(path)).ino === (await file.stat()).ino;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}
