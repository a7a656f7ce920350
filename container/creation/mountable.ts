/**
 * Which directories of this host may be given to containers at all. Whoever can write into one that holds the host's own
 * programs, settings, sockets or kernel files is root, and whoever can read one may learn secrets; and so it is with the
 * directories of this service, and with whatever has one of these within it.
 */

import { realpathSync } from 'node:fs';
import { normalize } from 'node:path';
import type { Paths } from '../../host/paths.ts';

/** The host's own. */
const OF_THE_HOST = [
  ...[
    '/bin',
    '/boot',
    '/dev',
    '/etc',
    '/lib',
    '/lib32',
    '/lib64',
    '/libx32',
    '/proc',
    '/root',
    '/run',
    '/sbin',
  ],
  ...['/sys', '/usr', '/var/run', '/var/lock', '/var/lib/cloud', '/var/lib/containerd', '/var/lib/docker'],
  ...['/var/lib/systemd', '/var/log', '/var/spool', '/opt/ecs-host-service'],
];

/** Directories in it are people's, with their keys. */
const HOMES = '/home';

export function tidy(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

export function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}

/** @returns undefined when containers may have it */
export function whyNotMountable(path: string, paths: Paths): string | undefined {
  const wanted = tidy(path);
  const real = realOf(wanted);
  if (real !== wanted) return `${wanted} is, or lies behind, a link to ${real}`;
  const { agent, containers, cloudStorage, private: secret, run, settings, state } = paths;
  const own = [containers, cloudStorage, secret, run, settings, state, agent.state];
  const touched = [...OF_THE_HOST, ...own].find((one) => isWithin(real, one) || isWithin(one, real));
  if (touched !== undefined)
    return real === touched
      ? `${real} is the host's own`
      : `${real} has to do with ${touched}, which is the host's own`;
  if (isWithin(real, HOMES) && real.split('/').length <= 3)
    return `${real} is, or holds, the home of a user of this host`;
  return undefined;
}

/** One that is not there yet is what it says. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
