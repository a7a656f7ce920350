/**
 * Checks operators' mounts of host directories. Only the directories in ALLOWED_MOUNTS are allowed, not those inside
 * them: a container with such a directory could create a link to any path in it, and the next container would get that
 * path.
 */

import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import type { Mount } from './create-body.ts';
import { isWithin, tidy, whyNotMountable } from './mountable.ts';
import { bind } from './own-mounts.ts';

export interface RequestedMount {
  readonly source: string;
  /** The path in the container. */
  readonly target: string;
  readonly readOnly?: boolean | undefined;
}

/** Where a container has its own files or the kernel's. */
const TAKEN = ['/fractal', '/tmp/sockets', '/run', '/sys', '/proc', '/dev'];

/** @throws {ServiceError} `create.mount_not_allowed`, `create.mount_leads_out`, `create.bad_target` */
export function allowedMounts(
  requested: readonly RequestedMount[],
  allowed: readonly string[],
  paths: Paths,
): Mount[] {
  return requested.map(({ source, target, readOnly = true }) => {
    const wanted = tidy(source);
    if (!allowed.includes(wanted)) throw new ServiceError('create.mount_not_allowed', { source });
    const why = whyNotMountable(wanted, paths);
    if (why !== undefined) throw new ServiceError('create.mount_leads_out', { source, why });
    const place = tidy(target);
    if (TAKEN.some((one) => isWithin(one, place) || isWithin(place, one))) {
      throw new ServiceError('create.bad_target', { target });
    }
    // Docker makes only the outermost mount read-only, so a read-only mount excludes the mounts below it.
    return { ...bind(wanted, place, readOnly), ...(readOnly && { BindOptions: { NonRecursive: true } }) };
  });
}
