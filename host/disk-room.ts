/** The free space of the filesystems that containers write to. */

import { stat, statfs } from 'node:fs/promises';

export interface Room {
  /** A directory on the filesystem. */
  readonly path: string;
  readonly device: number;
  /** In bytes. */
  readonly size: number;
  readonly free: number;
  /** The maximum number of files; 0 if the filesystem has no limit. */
  readonly inodes: number;
  readonly freeInodes: number;
}

const GIB = 2 ** 30;
/** A filesystem is almost full below this share of free space; for a large one, below this number of bytes. */
const LITTLE = 0.1;
const LITTLE_BYTES = 5 * GIB;

/** The filesystems of these directories, without duplicates. Missing directories are skipped. */
export async function roomsOf(directories: readonly string[]): Promise<Room[]> {
  const found = await Promise.all(directories.map((path) => roomOf(path).catch(() => undefined)));
  const rooms = found.filter((room) => room !== undefined);
  return [...new Map(rooms.map((room) => [room.device, room])).values()];
}

async function roomOf(path: string): Promise<Room> {
  const [{ dev: device }, { blocks, bavail, bsize, files, ffree }] = await Promise.all([
    stat(path),
    statfs(path),
  ]);
  return { path, device, size: blocks * bsize, free: bavail * bsize, inodes: files, freeInodes: ffree };
}

export function isLittle({ size, free, inodes, freeInodes }: Room): boolean {
  return free < Math.min(LITTLE * size, LITTLE_BYTES) || freeInodes < LITTLE * inodes;
}
