/** What a hosted container has once it is prepared. */

import type { ResourceMappings } from './resource-mappings.ts';
import type { SetUp } from './set-up.ts';

export interface Prepared {
  /** Host port by container port. */
  readonly ports: ReadonlyMap<string, number>;
  readonly identifyingPort: number;
  readonly mappings: ResourceMappings;
  readonly setUp: SetUp;
}
