/** What waits in a socket for whoever reads it. */

import { addon } from './addon.ts';

/**
 * @param socket its descriptor
 * @param bytes that may wait; without CAP_NET_ADMIN it stays as many as they were
 */
export function setSendBuffer(socket: number, bytes: number): void {
  addon().setSendBuffer(socket, bytes);
}
