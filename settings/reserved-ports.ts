/** The host ports that no container gets, hosted or placed by ECS. */

import type { Settings } from './load.ts';

/** The ECS agent's own, on loopback; it has them by name in its own code. */
const OF_AGENT = [51_678, 51_679];

/** Those of this host: the operator's, the service's own, and the agent's. */
export function reservedPorts({
  RESERVED_PORTS,
  LISTEN_PORT,
}: Pick<Settings, 'RESERVED_PORTS' | 'LISTEN_PORT'>): number[] {
  return [...RESERVED_PORTS, LISTEN_PORT, ...OF_AGENT];
}
