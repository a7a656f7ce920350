/**
 * Directories of this host that operators may have mounted. Only those that a setting names, and not what is in them:
 * a container that has one could put a link to anything there, and the next one would have that mounted.
 */

import { normalize } from 'node:path';
import { ServiceError } from '../errors/service-error.ts';
import type { Mount } from './create-body.ts';
import { bind } from './own-mounts.ts';

export interface RequestedMount {
  readonly source: string;
  /** In the container. */
  readonly target: string;
  readonly readOnly?: boolean | undefined;
}

/** @throws {ServiceError} `create.mount_not_allowed` */
export function allowedMounts(requested: readonly RequestedMount[], allowed: readonly string[]): Mount[] {
  return requested.map(({ source, target, readOnly = true }) => {
    const wanted = normalize(source).replace(/(?<=.)\/$/, '');
    if (!allowed.includes(wanted)) throw new ServiceError('create.mount_not_allowed', { source });
    return bind(wanted, target, readOnly);
  });
}
