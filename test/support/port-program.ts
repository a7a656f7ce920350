/** Images of the program that keeps clients for as long as they like (test/image/port-program.c), and its clients. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { TestHost } from './test-host.ts';

export const PORT_IMAGE = 'tests/port:current-build';
/** The image in which it is its own client. */
export const SELF_IMAGE = 'tests/self:current-build';

export async function importPortImages(host: TestHost): Promise<void> {
  await host.importImage(PORT_IMAGE, [], '/port-program');
  await host.importImage(SELF_IMAGE, ['itself'], '/port-program');
}

/** A client that stays until it is destroyed. Docker accepts connections before the program does, and then closes them. */
export async function stay(port: number): Promise<Socket> {
  for (;;) {
    const client = connect({ host: '127.0.0.1', port });
    const greeted = once(client, 'data').then(() => true);
    const left = once(client, 'close').then(() => false);
    if (await Promise.race([greeted, left]).catch(() => false)) return client.on('error', () => {});
    await pause(50);
  }
}
