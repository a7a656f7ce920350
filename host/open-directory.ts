/**
 * Access to directories by descriptor. Entries are resolved from the open directory, so that later changes of its path
 * do not matter. Only links in the path that an operator gave are followed.
 *
 * Source: proc_pid_fd(5): a name below /proc/self/fd/N is resolved from the open directory itself, like openat(2).
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** @throws Error when the last component of the path is a link or not a directory */
export async function openDirectory(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** @param name of an entry, or nothing for the directory itself */
export function within({ fd }: FileHandle, name: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
}
