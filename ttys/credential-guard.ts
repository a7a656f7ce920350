/**
 * Blocks a user of this host from the addresses at which EC2 and ECS hand out credentials, because a shell must not get
 * the rights of the host's role. The rules apply to the user, not to one shell, and they stay, because processes of a
 * shell may outlive this service. `metadata-guard.sh off` removes them.
 *
 * The rules are in the table `raw`, which packets pass before the ECS agent's own rules redirect them.
 */

import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { messageOf, ServiceError } from '../errors/service-error.ts';

const run = promisify(execFile);
const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const OF_IPV4 = ['169.254.169.254', '169.254.170.2'];
const OF_IPV6 = ['fd00:ec2::254'];

/** @throws {ServiceError} `terminal.no_host_shell` if the rules cannot be set */
export async function keepFromCredentials(user: string, uid: string): Promise<void> {
  try {
    const owners = [uid, ...(await subordinatesOf(user, uid))];
    for (const owner of owners) {
      for (const address of OF_IPV4) await drop('iptables', owner, address);
      if (await hasIpv6()) for (const address of OF_IPV6) await drop('ip6tables', owner, address);
    }
  } catch (cause) {
    const why = `it cannot be kept from the credentials of this host (${messageOf(cause)})`;
    throw new ServiceError('terminal.no_host_shell', { why }, { cause });
  }
}

async function drop(iptables: string, owner: string, address: string): Promise<void> {
  const rule = (act: string) => {
    const which = ['OUTPUT', '--destination', address, '--match', 'owner', '--uid-owner', owner];
    return run(iptables, ['--wait', '10', '--table', 'raw', act, ...which, '--jump', 'DROP'], { env: ENV });
  };
  const isThere = await rule('--check').then(
    () => true,
    () => false,
  );
  if (!isThere) await rule('--insert');
}

/** The ranges of ids that the user may have in a user namespace of its own. Source: subuid(5). */
async function subordinatesOf(user: string, uid: string): Promise<string[]> {
  const lines = (await readFile('/etc/subuid', 'utf8').catch(() => '')).split('\n');
  return lines.flatMap((line) => {
    const [name = '', first, count] = line.split(':');
    const length = Number(count);
    return [user, uid].includes(name) && length > 0 ? [`${first}-${Number(first) + length - 1}`] : [];
  });
}

async function hasIpv6(): Promise<boolean> {
  return await access('/proc/net/if_inet6').then(
    () => true,
    () => false,
  );
}
