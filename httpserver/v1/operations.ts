/** What operators ask of the service as a whole, and not of its containers. */

import type { Agent, Host } from './schemas.ts';

export interface Operations {
  describeHost(): Promise<Host>;
  /** @throws {ServiceError} `agent.none`, `agent.silent` */
  describeAgent(): Promise<Agent>;
  /** Takes no more containers. @returns how many are waited for */
  drain(): number;
}
