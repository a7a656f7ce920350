/** What operators ask of the service as a whole, and not of its containers. */

import type { Nodes } from '../../managed-nodes/nodes.ts';
import type { Agent, Host } from './schemas.ts';

export interface Operations {
  describeHost(): Promise<Host>;
  /** @throws {ServiceError} `agent.none`, `agent.silent` */
  describeAgent(): Promise<Agent>;
  /** The managed nodes of this host. @throws {ServiceError} `node.none` */
  nodes(): Nodes;
  /** Takes no more containers. @returns how many are waited for */
  drain(): number;
}
