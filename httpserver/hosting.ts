/** What requests act upon, once the host has started. */

import type { ImagePulls } from '../container/image-pulls.ts';
import type { KeptContainers } from '../container/kept-containers.ts';
import type { NeededImages } from '../container/needed-images.ts';
import type { Tracker } from '../container/tracker.ts';
import type { Watch } from '../container/watch.ts';

export interface Hosted {
  readonly tracker: Tracker;
  readonly kept: KeptContainers;
}

export interface Hosting extends Hosted {
  readonly watch: Pick<Watch, 'silence'>;
  readonly pulls: ImagePulls;
  readonly images: NeededImages;
}
