/** The size of a socket's send buffer. */

import { addon } from './addon.ts';

/**
 * @param socket its descriptor
 * @param bytes the maximum of unread bytes; without CAP_NET_ADMIN the limit stays unchanged
 */
export function setSendBuffer(socket: number, bytes: number): void {
  addon().setSendBuffer(socket, bytes);
}
