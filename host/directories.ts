/**
 * Directories as things that are held: those that the service shares with what came before it, which it
 * removes only if it made them and they are empty, and those that belong to one holder, which go with all
 * that is in them.
 */

import { chmod, lchown, lstat, mkdir, readFile, realpath, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { removeByDescriptors } from '../uinput-native/tree.ts';
import { explain } from './atomic-file.ts';

/**
 * In the mode of a shared directory: it was made by a service. Unlike what is written down somewhere else, it is true
 * from the moment that the directory is there until it is gone, wherever in between the service dies.
 */
export const MARK = 0o1000;

export async function isMarked(path: string): Promise<boolean> {
  return (await exists(path)) && ((await lstat(path)).mode & MARK) !== 0;
}

/** As `removeIfEmpty`, unless no service made it. */
export async function removeMarked(path: string): Promise<void> {
  if (await isMarked(path)) await removeIfEmpty(path);
}

/** The user, and the group, that programs in the images run as. */
export const CONTAINER_USER = 1000;

/**
 * Makes sure that `path` is a directory which root alone can write, and holds it until the lifetime ends. One that has the
 * mark was made by a service.
 * @param isLeft whether a service that died had made it, by what it had written down
 * @throws {ServiceError} `start.filesystem`
 */
export async function holdSharedDirectory(
  lifetime: Lifetime,
  path: string,
  mode: number,
  isLeft = false,
): Promise<void> {
  try {
    const isOurs = isLeft || (await isMarked(path));
    await lifetime.acquire({
      // Whoever comes after a death must not remove what was there before.
      kind: (await exists(path)) && !isOurs ? 'found directory' : 'shared directory',
      what: path,
      take: () => makeShared(path, mode),
      release: (made) => (made || isOurs ? removeIfEmpty(path) : undefined),
      seenGone: async (made) => {
        if (!made && !isOurs) return 'left unchanged, because it existed before';
        return (await exists(path)) ? 'left, because it is not empty' : 'no longer exists';
      },
    });
  } catch (error) {
    if (lifetime.signal.aborted) throw error;
    throw new ServiceError('start.filesystem', { path, why: messageOf(error) }, { cause: error });
  }
}

/** @returns whether it was made, and not there already */
async function makeShared(path: string, mode: number): Promise<boolean> {
  const made = await makeWithParents(path, mode);
  if (made) await chmod(path, mode);
  const found = await lstat(path);
  if (!found.isDirectory()) throw new Error('it is not a directory');
  if (found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0) {
    throw new Error('users other than root can write to it');
  }
  return made;
}

/** Unlike mkdir's `recursive`, it fails with the reason of the directory that could not be made. @returns whether it was missing */
export async function makeWithParents(path: string, mode = 0o755): Promise<boolean> {
  if (await exists(path)) return false;
  await makeWithParents(dirname(path));
  try {
    await mkdir(path, mode);
  } catch (error) {
    // Another copy of the service, which the lock is yet to tell apart, was faster.
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
  return true;
}

/** The directory stays when something is in it, and need not be there. */
export async function removeIfEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'ENOENT')) throw error;
  }
}

/** Milliseconds for removing a tree: less than a release has. */
const REMOVING = 50_000;

export interface OwnDirectory {
  readonly path: string;
  readonly mode: number;
  /** User and group; default: root. */
  readonly owner?: number;
  /** Throws while it must not be removed. */
  readonly mayGo?: () => void;
  /** A dead service made it; it may have removed it too. */
  readonly isLeft?: boolean;
}

/** Makes a directory that must not be there yet, unless it is left; it is removed with its content when the lifetime ends. */
export async function holdOwnDirectory(
  lifetime: Lifetime,
  { path, mode, owner, mayGo, isLeft }: OwnDirectory,
): Promise<void> {
  await lifetime.acquire({
    kind: 'directory',
    what: path,
    take: () => (isLeft ? undefined : makeOwn(path, mode, owner)),
    release: async () => {
      mayGo?.();
      await removeTree(path);
    },
    seenGone: () => seenGone(path),
    deadline: 60_000,
  });
}

async function makeOwn(path: string, mode: number, owner: number | undefined): Promise<void> {
  await mkdir(path).catch((error: unknown) => {
    throw explain(path, error);
  });
  try {
    await chmod(path, mode);
    if (owner !== undefined) await lchown(path, owner, owner);
  } catch (error) {
    await rmdir(path);
    throw error;
  }
}

/**
 * Removes a tree without following a link and without entering a mount, even while a container changes it.
 * @param path the directory that it is in must be one that root alone can write, or what a container sees as a mount point
 * @param milliseconds that it may take
 * @throws Error when something is mounted in it
 * @throws {ServiceError} `still.there` when it takes longer; calling it again goes on with what is left
 */
export async function removeTree(path: string, milliseconds = REMOVING): Promise<void> {
  if (!(await exists(path))) return;
  const directory = await realpath(dirname(path));
  const [mount] = await mountsBelow(join(directory, basename(path)));
  if (mount !== undefined) throw new Error(`${mount} is mounted there; run "umount ${mount}"`);
  try {
    await removeByDescriptors(directory, basename(path), milliseconds);
  } catch (error) {
    if (!isSystemError(error, 'ETIMEDOUT')) throw error;
    const why = `it could not be removed within ${milliseconds / 1000} s, and the rest is removed later`;
    throw new ServiceError('still.there', { what: path, why }, { cause: error });
  }
}

export async function seenGone(path: string): Promise<string> {
  if (await exists(path)) throw new ServiceError('still.there', { what: path, why: 'it was created again' });
  return 'no longer exists';
}

export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
}

/** The mount points at or below `path`, as this process sees them. Source: proc_pid_mountinfo(5), field 5. */
export async function mountsBelow(path: string): Promise<string[]> {
  const below = path.endsWith('/') ? path : `${path}/`;
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((point) =>
      point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((point) => point === path || point.startsWith(below));
}
