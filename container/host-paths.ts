/** The control groups of the host, and how a path of it is understood. */

import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Where a path leads on this host. What is not there lies in what its directory leads to. */
export function realPath(path: string): string {
  const whole = resolve(path);
  try {
    return realpathSync.native(whole);
  } catch {
    return whole === '/' ? whole : join(realPath(dirname(whole)), basename(whole));
  }
}

/** Where the kernel's cgroup hierarchies are mounted. */
export const CGROUPS = '/sys/fs/cgroup';
/** The hierarchy that a systemd in the container must write; it gives no right to a device. */
export const WRITABLE_CGROUP = `${CGROUPS}/systemd`;
