/** The host ports that no container gets, whether hosted or placed by ECS. */

import type { Settings } from './load.ts';

/** The ECS agent's own ports on loopback. They are constants in the agent's code. */
const OF_AGENT = [51_678, 51_679];

/** The reserved ports of this host: the operator's list, the service's port and the agent's ports. */
export function reservedPorts({
  RESERVED_PORTS,
  LISTEN_PORT,
}: Pick<Settings, 'RESERVED_PORTS' | 'LISTEN_PORT'>): number[] {
  return [...RESERVED_PORTS, LISTEN_PORT, ...OF_AGENT];
}
