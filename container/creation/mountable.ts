/**
 * Which directories of this host must never be given to a container. Write access to the host's programs, settings,
 * sockets or kernel files makes a container root, and read access may reveal secrets. The same is true of this
 * service's directories, and of all parents of these directories.
 */

import { realpathSync } from 'node:fs';
import { normalize } from 'node:path';
import type { Paths } from '../../host/paths.ts';

/** Directories of the host. */
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

/** It contains the home directories of people, with their keys. */
const HOMES = '/home';

export function tidy(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

export function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}

/** @returns undefined if containers may have it */
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

/** A path that does not exist stays as it is. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
