/** Gives a listening unix socket its path in the filesystem. */

import { chmod, rename, rm } from 'node:fs/promises';

/**
 * Moves a socket to its path once it accepts connections. This is one step, even if a crashed service has left a socket
 * there. When a server closes, Node removes only the path at which it began to listen. So the caller removes the final
 * path, or leaves it to a process that has the socket too.
 * @param listen listens at the path that it is given
 */
export async function listenAt(path: string, listen: (path: string) => Promise<unknown>): Promise<void> {
  const draft = draftOf(path);
  await rm(draft, { force: true });
  await listen(draft);
  await chmod(draft, 0o600);
  await rename(draft, path);
}

/** The path of the socket until it is moved; a crash may leave it there. */
export function draftOf(path: string): string {
  return `${path}.new`;
}
