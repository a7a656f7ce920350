/** What a create body must not ask for, because it would let a container out of what it was allotted. */

import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import { majorOf, minorOf } from '../host/device-number.ts';
import type { HostConfig } from './create-body.ts';

/** @throws {ServiceError} `create.*`, naming what is forbidden */
export function refuseForbidden(host: HostConfig): void {
  const policy = host.RestartPolicy?.Name;
  if (policy && policy !== 'no') throw new ServiceError('create.restart_policy', { policy });
  if (host.Privileged) throw new ServiceError('create.privileged', {});
  for (const rule of host.DeviceCgroupRules ?? []) refuseRule(rule);
  for (const device of host.Devices ?? []) refuseDevice(device.PathOnHost ?? '');
  for (const bind of host.Binds ?? []) refuseSource(bind.split(':', 1)[0] ?? '');
  for (const mount of host.Mounts ?? []) if (mount.Type === 'bind') refuseSource(mount.Source ?? '');
}

/**
 * Devices that a container gets from us or not at all, by major and, where others share it, minor: consoles,
 * their contents (vcs), uinput and input devices. Source: the kernel's devices.txt.
 */
const OURS = [{ major: 4 }, { major: 7 }, { major: 10, minor: 223 }, { major: 13 }];

/** Numbers may be written with leading zeros; `*` stands for all. */
function isOurs(major: string, minor: string): boolean {
  const covers = (pattern: string, number?: number) =>
    pattern === '*' || number === undefined || Number(pattern) === number;
  return OURS.some((device) => covers(major, device.major) && covers(minor, device.minor));
}

function refuseRule(rule: string): void {
  const [, type, major = '*', minor = '*'] = /^([abc]) (\d+|\*):(\d+|\*) [rwm]+$/.exec(rule) ?? [];
  if (!type) throw new ServiceError('create.bad_body', { why: `"${rule}" is not a device rule` });
  if (type === 'b' || (type === 'c' && !isOurs(major, minor))) return;
  throw new ServiceError('create.bad_body', {
    why: `the device rule "${rule}" would open other containers' consoles or input devices; leave it out`,
  });
}

/** Paths below which our devices are found. */
const OUR_PATHS = /^\/(dev(\/(tty\d+|vcs.*|input(\/.*)?|uinput|char(\/.*)?))?)?$/;

function refuseDevice(path: string): void {
  const real = realPath(path);
  if (!OUR_PATHS.test(real) && !isOurDevice(real)) return;
  throw new ServiceError('create.bad_body', {
    why: `the device ${path} would open other containers' consoles or input devices; leave it out`,
  });
}

function isOurDevice(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isCharacterDevice()) return false;
  return isOurs(String(majorOf(found.rdev)), String(minorOf(found.rdev)));
}

/** Where a path leads on this host; the path itself when it leads nowhere. */
export function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    return resolve(path);
  }
}

/** Where the kernel's cgroup hierarchies are mounted. */
export const CGROUPS = '/sys/fs/cgroup';
/** The hierarchy that a systemd in the container must write; it gives no right to a device. */
export const WRITABLE_CGROUP = `${CGROUPS}/systemd`;

/** A bind of /sys/fs/cgroup itself is made safe; one of what lies above it, or in it, could not be. */
function refuseSource(source: string): void {
  if (!isAbsolute(source)) return; // The name of a volume.
  const real = realPath(source);
  const above = real === '/' || CGROUPS.startsWith(`${real}/`);
  const inside = real.startsWith(`${CGROUPS}/`);
  if (!above && !inside) return;
  throw new ServiceError('create.bad_body', {
    why: `a mount of ${source} would let the container out of its device rules; mount what it needs, or all of ${CGROUPS}`,
  });
}
