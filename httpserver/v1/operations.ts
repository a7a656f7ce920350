/** The operations on the service as a whole that operators can request. */

import type { Agent, Host } from './schemas.ts';

export interface Operations {
  describeHost(): Promise<Host>;
  /** @throws {ServiceError} `agent.none`, `agent.silent` */
  describeAgent(): Promise<Agent>;
  /** Accepts no more containers. @returns the number of containers that still run */
  drain(): number;
}
