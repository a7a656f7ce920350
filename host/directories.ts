/**
 * Directories as resources. A shared directory existed before or is used by several processes; the service removes it
 * only if it created it and it is empty. An own directory belongs to one holder and is removed with its content.
 */

import { chmod, lchown, lstat, mkdir, readFile, realpath, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { removeByDescriptors } from '../uinput-native/tree.ts';
import { explain } from './atomic-file.ts';

/**
 * The sticky bit of a shared directory shows that a service created it. Unlike a record elsewhere, it exists for
 * exactly as long as the directory, whenever the service crashes.
 */
export const MARK = 0o1000;

export async function isMarked(path: string): Promise<boolean> {
  return (await exists(path)) && ((await lstat(path)).mode & MARK) !== 0;
}

/** Like `removeIfEmpty`, but only if a service created the directory. */
export async function removeMarked(path: string): Promise<void> {
  if (await isMarked(path)) await removeIfEmpty(path);
}

/** The user id and group id that programs in the images run as. */
export const CONTAINER_USER = 1000;

/**
 * Makes sure that `path` is a directory that only root can write to, and holds it until the lifetime ends. The sticky
 * bit shows that a service created it.
 * @param isLeft whether the ledger of a crashed service says that it created the directory
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
      // After a crash, directories that existed before the service must not be removed.
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

/** @returns whether it was created, and did not exist already */
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

/**
 * Unlike mkdir's `recursive`, it reports why a parent directory could not be created.
 * @returns whether the directory was missing
 */
export async function makeWithParents(path: string, mode = 0o755): Promise<boolean> {
  if (await exists(path)) return false;
  await makeWithParents(dirname(path));
  try {
    await mkdir(path, mode);
  } catch (error) {
    // Another copy of the service created it first. The lock, which is taken later, decides between the two.
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
  return true;
}

/** A directory that is not empty stays. It may be missing. */
export async function removeIfEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOTEMPTY') && !isSystemError(error, 'ENOENT')) throw error;
  }
}

/** The time limit for removing a tree, in milliseconds. It must be shorter than the deadline of a release. */
const REMOVING = 50_000;

export interface OwnDirectory {
  readonly path: string;
  readonly mode: number;
  /** The user id and group id; default: root. */
  readonly owner?: number;
  /** Throws while the directory must not be removed. */
  readonly mayGo?: () => void;
  /** A crashed service created it, and may have removed it. */
  readonly isLeft?: boolean;
}

/**
 * Creates a directory, which must not exist unless `isLeft` is set. It is removed with its content when the lifetime
 * ends.
 */
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
 * Removes a tree, even while a container changes it. It does not follow links or enter mounts.
 * @param path its parent must be a directory that only root can write to, or one that a container sees as a mount point
 * @param milliseconds the time limit
 * @throws Error when something is mounted in the tree
 * @throws {ServiceError} `still.there` when the time is over; another call continues with the rest
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

/**
 * The mount points at or below `path` in the mount namespace of this process. Source: proc_pid_mountinfo(5), field 5.
 */
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
