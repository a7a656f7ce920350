/** The operations on the service as a whole that operators can request. */

import type { Nodes } from '../../managed-nodes/nodes.ts';
import type { Diagnosis } from './diagnosis-schemas.ts';
import type { History } from './history-schemas.ts';
import type { Agent, Host } from './schemas.ts';

export interface Operations {
  describeHost(): Promise<Host>;
  /** @throws {ServiceError} `agent.none`, `agent.silent` */
  describeAgent(): Promise<Agent>;
  history(): History;
  /** Checks the host, at most once a minute. A request in between gets the last result. */
  diagnose(): Promise<Diagnosis>;
  /** The managed nodes of this host. @throws {ServiceError} `node.none` */
  nodes(): Nodes;
  /** Accepts no more containers. @returns the number of containers that still run */
  drain(): number;
}
