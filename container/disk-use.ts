/**
 * What a container has on the host's disk. It is counted by a confined child, since the container changes these trees
 * while they are read, and with the lowest priority, since the other containers go on.
 */

import { mkdir, rmdir } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Room } from '../host/disk-room.ts';
import { type Amount, bytesOf } from '../settings/amount.ts';
import { runConfined } from '../user-configs/confined.ts';

export interface DiskUse {
  readonly bytes: number;
  /** Files, directories, and whatever else has an inode. */
  readonly inodes: number;
}

/** Of a limit that is given in bytes, each file counts for so many, as where filesystems are made. */
const BYTES_OF_INODE = 16_384;

/** Who counts is nobody, and may read everything that is seen. */
const READER = { user: 65_534, capability: 'dac_read_search', access: 'ro' } as const;
/** du fails when a file vanishes that it was about to count, and says all the same what it has counted. */
const COUNT = `renice -n 19 $$ > /dev/null
ionice -c 3 -p $$
du -sx --block-size=1 tree >&3
du -sx --inodes tree >&3
exit 0`;
/** Milliseconds for one tree. */
const PATIENCE = 60_000;

/**
 * @param view a directory of root's that is made for this, on another disk than the one that may be full
 * @returns undefined when it could not be counted in time
 */
export async function countUse(
  view: string,
  tree: string,
  signal: AbortSignal,
): Promise<DiskUse | undefined> {
  await mkdir(view, { mode: 0o700, recursive: true });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
  const child = runConfined({ ...READER, view, tree, script: COUNT, environment: {} }, limit);
  child.input.end();
  const [told] = await Promise.all([text(child.signs).catch(() => ''), child.ended]);
  await rmdir(view);
  const [, bytes, inodes] = /^(\d+)\ttree\n(\d+)\ttree\n$/.exec(told) ?? [];
  return bytes === undefined ? undefined : { bytes: Number(bytes), inodes: Number(inodes) };
}

export function sumOf(uses: readonly DiskUse[]): DiskUse {
  return uses.reduce((sum, one) => ({ bytes: sum.bytes + one.bytes, inodes: sum.inodes + one.inodes }), {
    bytes: 0,
    inodes: 0,
  });
}

/** What a container may have on a filesystem. */
export function limitOn({ size, inodes }: Room, amount: Amount): DiskUse {
  const bytes = bytesOf(amount, size);
  if (inodes === 0) return { bytes, inodes: Infinity };
  return { bytes, inodes: 'percent' in amount ? bytesOf(amount, inodes) : bytes / BYTES_OF_INODE };
}
