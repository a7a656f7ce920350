/** Gives a listening unix socket its place in the filesystem. */

import { chmod, rename, rm } from 'node:fs/promises';

/**
 * Puts a socket in its place once it accepts connections, and in one step, also in place of one that a crashed service
 * has left. Node removes the path at which a server began to listen when the server closes. The place is another one,
 * so the caller removes it, or leaves it to a process that has the socket too.
 * @param listen listens at the path that it is given
 */
export async function listenAt(path: string, listen: (path: string) => Promise<unknown>): Promise<void> {
  const draft = draftOf(path);
  await rm(draft, { force: true });
  await listen(draft);
  await chmod(draft, 0o600);
  await rename(draft, path);
}

/** Where the socket is until it has its place; a crash may leave it there. */
export function draftOf(path: string): string {
  return `${path}.new`;
}
