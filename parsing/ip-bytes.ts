/** The bytes of IP addresses, as in packets and certificates. */

import { isIPv6 } from 'node:net';

export function ipv4(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

/** @throws Error when it is none */
export function ipv6(address: string): Buffer {
  if (!isIPv6(address)) throw new Error(`${address} is not an IPv6 address`);
  const [head = '', tail] = address.split('::');
  const words = (text: string) => text.split(':').filter(Boolean);
  const [first, last] = [words(head), words(tail ?? '')];
  const between = tail === undefined ? 0 : 8 - first.length - last.length;
  const all = [...first, ...Array(between).fill('0'), ...last];
  return Buffer.from(all.map((word) => word.padStart(4, '0')).join(''), 'hex');
}
