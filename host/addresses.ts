/** The names under which this host can be reached. */

import { hostname, networkInterfaces } from 'node:os';

/** Loopback, the host's name, and the addresses of its interfaces, without link-local IPv6. */
export function ownNames(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address)
    .filter((address) => !address.startsWith('fe80:'));
  return [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...addresses.sort()])];
}
