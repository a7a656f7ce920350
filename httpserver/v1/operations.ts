/** The operations on the service as a whole that operators can request. */

import type { Nodes } from '../../managed-nodes/nodes.ts';
import type { Agent, Host } from './schemas.ts';

export interface Operations {
  describeHost(): Promise<Host>;
  /** @throws {ServiceError} `agent.none`, `agent.silent` */
  describeAgent(): Promise<Agent>;
  /** The managed nodes of this host. @throws {ServiceError} `node.none` */
  nodes(): Nodes;
  /** Accepts no more containers. @returns the number of containers that still run */
  drain(): number;
}
