/** The parts of the service that requests use once the host has started. */

import type { KeptContainers } from '../container/kept-containers.ts';
import type { WarmPools } from '../container/pool/warm-pools.ts';
import type { Tracker } from '../container/tracker.ts';
import type { Watch } from '../container/watching/watch.ts';
import type { ImagePulls } from '../docker-engine/image-pulls.ts';
import type { NeededImages } from '../docker-engine/needed-images.ts';
import type { ClaimedPorts } from '../host/claimed-ports.ts';

export interface Hosted {
  readonly tracker: Tracker;
  readonly kept: KeptContainers;
}

export interface Hosting extends Hosted {
  readonly watch: Pick<Watch, 'silence'>;
  readonly pulls: ImagePulls;
  readonly images: NeededImages;
  /** The host ports that managed nodes claim. */
  readonly claimedPorts: ClaimedPorts;
  readonly warm: WarmPools;
}
