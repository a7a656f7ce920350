/**
 * Connects two linked containers (`--link`, or `links` of a task), which stay isolated from all others. Frames between
 * them are redirected from port to port and bypass the bridge, after they have passed the filter of the sender's port.
 * Source: tc-u32(8), tc-mirred(8).
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Endpoint } from '../../docker-engine/answers.ts';

/** One end of a link. */
export interface End {
  /** The name of its network interface on the host. */
  readonly port: string;
  readonly endpoint: Endpoint;
}

/** The preferences of the two redirects. The port's own filter has a lower number and runs before them. */
const [TO_IT, WHO_HAS_IT] = [2, 3];

/** @throws {Error} if `tc` is missing or the kernel refuses the filters */
export async function link(one: End, other: End): Promise<void> {
  const { PATH } = process.env;
  const lines = [...passing(one, other), ...passing(other, one)];
  const work = promisify(execFile)('tc', ['-batch', '-'], { env: { PATH } });
  work.child.stdin?.end(`${lines.join('\n')}\n`);
  await work;
}

function passing({ port }: End, { port: to, endpoint: { mac, address } }: End): string[] {
  const add = `filter add dev ${port} ingress`;
  const redirect = `action mirred egress redirect dev ${to}`;
  return [
    `${add} pref ${TO_IT} protocol ip u32 match ether dst ${mac} ${redirect}`,
    `${add} pref ${WHO_HAS_IT} protocol arp u32 match u32 ${wordOf(address)} 0xffffffff at 24 ${redirect}`,
  ];
}

function wordOf(address: string): string {
  return `0x${Buffer.from(address.split('.').map(Number)).toString('hex')}`;
}
