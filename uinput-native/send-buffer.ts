/** What waits in a socket for whoever reads it. */

import { addon } from './addon.ts';

/**
 * @param socket its descriptor
 * @param bytes that may wait, as far as the kernel lets them: beyond a limit of the host it asks for CAP_NET_ADMIN
 */
export function setSendBuffer(socket: number, bytes: number): void {
  addon().setSendBuffer(socket, bytes);
}
