/** The control groups of the host, and how a path of it is understood. */

import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';

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
