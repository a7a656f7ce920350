/**
 * Measures a container's disk use. A confined child counts it, because the container can change the trees meanwhile.
 * The child has the lowest priority, so that it does not slow the other containers down.
 */

import { mkdir, rmdir } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import type { Room } from '../host/disk-room.ts';
import { type Amount, bytesOf } from '../settings/amount.ts';
import { runConfined } from '../user-configs/confined.ts';

export interface DiskUse {
  readonly bytes: number;
  /** Files, directories, and everything else that needs an inode. */
  readonly inodes: number;
}

/** The number of bytes for each inode when a limit is given in bytes. Filesystems are created with the same ratio. */
const BYTES_OF_INODE = 16_384;

/** The counting process runs as nobody, with a capability to read everything in its view. */
const READER = { user: 65_534, capability: 'dac_read_search', access: 'ro' } as const;
/** du fails if a file disappears before it is counted, but still prints the sum. */
const COUNT = `renice -n 19 $$ > /dev/null
ionice -c 3 -p $$
du -sx --block-size=1 tree >&3
du -sx --inodes tree >&3
exit 0`;
/** The time limit for one tree, in milliseconds. */
const PATIENCE = 60_000;

/**
 * @param view a directory for this purpose, which only root can write to, on another disk than the one that may be full
 * @returns undefined if it could not be counted in time
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

/** The limit for a container on a filesystem. */
export function limitOn({ size, inodes }: Room, amount: Amount): DiskUse {
  const bytes = bytesOf(amount, size);
  if (inodes === 0) return { bytes, inodes: Infinity };
  return { bytes, inodes: 'percent' in amount ? bytesOf(amount, inodes) : bytes / BYTES_OF_INODE };
}
