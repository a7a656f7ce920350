/**
 * Checks a developer's mounts in local development. A developer's own directories are allowed. Directories that would
 * make a container root on the host, or give it access to another container, are refused, and so are their parents.
 */

import { ServiceError } from '../../errors/service-error.ts';
import type { Paths } from '../../host/paths.ts';
import { realPath } from '../host-paths.ts';
import type { Mount } from './create-body.ts';

const HOSTS_OWN =
  '/boot /dev /etc /proc /sys /run/containerd /run/dbus /run/docker /run/lock /run/systemd /run/udev /run/user /var/lib/containerd /var/lib/docker /var/lib/ecs'.split(
    ' ',
  );

/** @param docker path of Docker's socket @throws {ServiceError} `create.bad_mount` */
export function developersMounts(mounts: readonly Mount[], paths: Paths, docker: string): Mount[] {
  const { containers, cloudStorage, private: secrets, run, settings, state } = paths;
  const own = [containers, cloudStorage, secrets, run, settings, state, docker];
  const kept = [...HOSTS_OWN, ...own].map(realPath);
  return mounts.map((mount) => {
    const { Source = '', BindOptions } = mount;
    const real = realPath(Source);
    const forbidden = kept.find((one) => isWithin(real, one) || isWithin(one, real));
    if (forbidden)
      throw refusal(`${Source} is, is in, or leads to ${forbidden}; mount a directory of your own`);
    if (['shared', 'rshared'].some((one) => one === BindOptions?.Propagation)) {
      throw refusal('a container must not mount anything on this host; use slave or rslave');
    }
    // With the real path, a link that is changed later has no effect.
    return { ...mount, Source: real };
  });
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer === '/' ? outer : `${outer}/`);
}

function refusal(why: string): ServiceError {
  return new ServiceError('create.bad_mount', { why });
}
