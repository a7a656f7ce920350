/**
 * Directories of this host that operators may have mounted. Only those that a setting names, and not what is in them:
 * a container that has one could put a link to anything there, and the next one would have that mounted.
 */

import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import type { Mount } from './create-body.ts';
import { isWithin, tidy, whyNotMountable } from './mountable.ts';
import { bind } from './own-mounts.ts';

export interface RequestedMount {
  readonly source: string;
  /** In the container. */
  readonly target: string;
  readonly readOnly?: boolean | undefined;
}

/** Where a container has what is its own, or the kernel's. */
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
    // Docker makes only the outermost mount read-only, so what is mounted in it is left out then.
    return { ...bind(wanted, place, readOnly), ...(readOnly && { BindOptions: { NonRecursive: true } }) };
  });
}
