/** Takes a device from the processes of a control group, on hosts with cgroup v2. */

import { addon } from './addon.ts';

/**
 * @param group its directory; what other programs allow there stays allowed otherwise
 * @throws Error when the kernel does not take it
 */
export function denyDevice(group: string, major: number, minor: number): void {
  addon().denyDevice(group, major, minor);
}
