/**
 * Reports the state of this process to the program that monitors it, systemd or launcher/, as described in
 * sd_notify(3).
 */

import { addon } from './addon.ts';

/**
 * Sends one datagram without blocking.
 * @param socket as in NOTIFY_SOCKET: an absolute path, or `@` and an abstract name; at most 107 bytes
 * @param state such as `READY=1`
 * @throws Error with a `code`: ENOENT or ECONNREFUSED if no program listens, EAGAIN if the receiver's queue is full
 */
export function notify(socket: string, state: string): void {
  addon().notify(socket, state);
}

/**
 * Sends one datagram, and waits at most two seconds for a receiver whose queue is full.
 * @param descriptor sent along; missing: none
 * @throws Error with a `code`, as `notify`
 */
export function notifyWith(socket: string, state: string, descriptor = -1): void {
  addon().notifyWith(socket, state, descriptor);
}
