/** The host's control groups, and the resolution of paths. */

import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** The real path on this host. The missing part of a path is resolved relative to its directory. */
export function realPath(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync.native(whole);
  } catch {
    return whole === '/' ? whole : join(realPath(dirname(whole)), basename(whole));
  }
}

/** The mount point of the kernel's cgroup hierarchies. */
export const CGROUPS = '/sys/fs/cgroup';
/** The hierarchy that a systemd in the container must write to. It gives no access to devices. */
export const WRITABLE_CGROUP = `${CGROUPS}/systemd`;
