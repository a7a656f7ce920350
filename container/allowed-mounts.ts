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

function tidy(path: string): string {
  return normalize(path).replace(/(?<=.)\/$/, '');
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}

/** Where a container has what is its own, or the kernel's. */
const TAKEN = ['/fractal', '/tmp/sockets', '/run', '/sys', '/proc', '/dev'];

/** @throws {ServiceError} `create.mount_not_allowed`, `create.bad_target` */
export function allowedMounts(requested: readonly RequestedMount[], allowed: readonly string[]): Mount[] {
  return requested.map(({ source, target, readOnly = true }) => {
    const wanted = tidy(source);
    if (!allowed.includes(wanted)) throw new ServiceError('create.mount_not_allowed', { source });
    const place = tidy(target);
    if (TAKEN.some((one) => isWithin(one, place) || isWithin(place, one))) {
      throw new ServiceError('create.bad_target', { target });
    }
    // Docker makes only the outermost mount read-only, so what is mounted in it is left out then.
    return { ...bind(wanted, place, readOnly), ...(readOnly && { BindOptions: { NonRecursive: true } }) };
  });
}
