/** The mounts that every hosted container gets, whoever writes its body. Source: the predecessor's task definition. */

import { existsSync } from 'node:fs';
import type { Paths } from '../../host/paths.ts';
import { RECORDS } from '../../uinput-native/input-device.ts';
import { directoriesOf } from '../directories.ts';
import { type Mount, PLACEHOLDER } from './create-body.ts';

/**
 * Paths contain the placeholder for the container id.
 * @param hasUdev whether the host has udev's database, by which programs in the container recognise devices
 */
export function ownMounts(paths: Paths, hasUdev = existsSync(RECORDS)): Mount[] {
  const { mappings, userConfig, sockets } = directoriesOf(paths, PLACEHOLDER);
  return [
    bind(mappings, '/fractal/resourceMappings', true),
    bind(userConfig, '/fractal/userConfigs', false),
    bind(sockets, '/tmp/sockets', false),
    ...(hasUdev ? [bind(RECORDS, RECORDS, true)] : []),
  ];
}

export function bind(source: string, target: string, readOnly: boolean): Mount {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: readOnly };
}
