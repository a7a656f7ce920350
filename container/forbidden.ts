/** What a create body must not ask for, because it would let a container out of what it was allotted. */

import { resolve } from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import type { HostConfig } from './create-body.ts';

/** @throws {ServiceError} `create.*`, naming what is forbidden */
export function refuseForbidden(host: HostConfig): void {
  const policy = host.RestartPolicy?.Name;
  if (policy && policy !== 'no') throw new ServiceError('create.restart_policy', { policy });
  if (host.Privileged) throw new ServiceError('create.privileged', {});
  for (const rule of host.DeviceCgroupRules ?? []) refuseRule(rule);
  for (const device of host.Devices ?? []) refuseDevice(device.PathOnHost ?? '');
}

/**
 * Devices that a container gets from us or not at all, by major and, where others share it, minor: consoles,
 * their contents (vcs), uinput and input devices. Source: the kernel's devices.txt.
 */
const OURS = [{ major: 4 }, { major: 7 }, { major: 10, minor: 223 }, { major: 13 }];

function refuseRule(rule: string): void {
  const [, type, major = '*', minor = '*'] = /^([abc]) (\d+|\*):(\d+|\*) [rwm]+$/.exec(rule) ?? [];
  if (!type) throw new ServiceError('create.bad_body', { why: `"${rule}" is not a device rule` });
  const covers = (pattern: string, number?: number) =>
    pattern === '*' || number === undefined || Number(pattern) === number;
  const isOurs = OURS.some((device) => covers(major, device.major) && covers(minor, device.minor));
  if (type === 'b' || (type === 'c' && !isOurs)) return;
  throw new ServiceError('create.bad_body', {
    why: `the device rule "${rule}" would open other containers' consoles or input devices; leave it out`,
  });
}

function refuseDevice(path: string): void {
  if (!/^\/(dev(\/(tty\d+|vcs.*|input(\/.*)?|uinput|char(\/.*)?))?)?$/.test(resolve(path))) return;
  throw new ServiceError('create.bad_body', {
    why: `the device ${path} would open other containers' consoles or input devices; leave it out`,
  });
}
