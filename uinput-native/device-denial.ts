/** Denies the processes of a control group access to a device, on hosts with cgroup v2. */

import { addon } from './addon.ts';

/** @param group its directory; the rules of other programs stay in effect @throws Error when the kernel refuses */
export function denyDevice(group: string, major: number, minor: number): void {
  addon().denyDevice(group, major, minor);
}
