/**
 * Directories by their descriptors. What is in an open directory is named from it on, so that it does not matter what has
 * become of its path, and no link but an operator's is followed on the way.
 *
 * Source: proc_pid_fd(5): a name below /proc/self/fd/N is resolved from the open directory itself, as openat(2) does.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** @throws Error when the last name of the path is a link, or no directory */
export async function openDirectory(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** @param name of something in the directory, or nothing for the directory itself */
export function within({ fd }: FileHandle, name: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}
