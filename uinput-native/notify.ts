/** Says to whoever watches this process from outside how it is, as sd_notify(3) has it: systemd, or launcher/. */

import { addon } from './addon.ts';

/**
 * Sends one datagram, and never waits.
 * @param socket as in NOTIFY_SOCKET: an absolute path, or `@` and an abstract name; 107 bytes at most
 * @param state such as `READY=1`
 * @throws Error with a `code`: ENOENT or ECONNREFUSED when nobody listens, EAGAIN when whoever does has too much to read
 */
export function notify(socket: string, state: string): void {
  addon().notify(socket, state);
}
