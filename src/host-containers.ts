/** Starts to host containers: those of an earlier service first, then new ones. */

import { join } from 'node:path';
import { saveAllLeft } from '../container/after-death/left-behind.ts';
import { takeOver } from '../container/after-death/take-over.ts';
import { KeptContainers } from '../container/kept-containers.ts';
import type { Surroundings } from '../container/surroundings.ts';
import { Tracker } from '../container/tracker.ts';
import { Watch } from '../container/watching/watch.ts';
import { ImagePulls } from '../docker-engine/image-pulls.ts';
import { NeededImages } from '../docker-engine/needed-images.ts';
import type { Hosted, Hosting } from '../httpserver/hosting.ts';
import type { Page } from '../lifetime/ledger.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Settings } from '../settings/load.ts';
import type { gatherSurroundings } from './gather-surroundings.ts';
import type { HandOver } from './hand-over/state.ts';
import { keepPools } from './keep-pools.ts';
import type { Metrics } from './metrics/metrics.ts';
import { beginRounds } from './rounds.ts';

export interface HostContainersOptions {
  readonly settings: Settings;
  /** The pages that an earlier service left in the ledger. */
  readonly left: readonly Page[];
  /** What the previous service has handed over. */
  readonly handed: HandOver | undefined;
  /** The ids of the terminals that the previous service has handed over. */
  readonly spared: ReadonlySet<string>;
  readonly takesNew: boolean;
  readonly metrics: Metrics;
  /** Called before the first container is taken over. From then on, the caller ends what there is. */
  readonly begun: (hosted: Hosted) => void;
}

export async function hostContainers(
  root: Lifetime,
  host: Awaited<ReturnType<typeof gatherSurroundings>> & Surroundings,
  { settings, left, handed, spared, takesNew, metrics, begun }: HostContainersOptions,
): Promise<Hosting> {
  const { docker, hostId, apart, ports, paths, log } = host;
  const kept = new KeptContainers(docker, hostId, root);
  const tracker = new Tracker(host, root);
  begun({ tracker, kept });
  if (settings.NODES_FEED !== 'none') await ports.claimed.keepIn(join(paths.nodes, 'ports.json'), log);
  await takeOver(tracker, kept, left, handed && { ...handed, spared });
  if (settings.INTERACTIVE === 'off') tracker.refuse();
  const watch = await Watch.open(root, tracker, kept);
  await apart.begin();
  await saveAllLeft(tracker);
  await beginRounds(root, { tracker, kept, settings, paths, metrics, log, takesNew });
  const pulls = new ImagePulls(docker, root, log);
  const images = new NeededImages({ docker, pulls, defaultRegistry: settings.DEFAULT_REGISTRY });
  const pools = { settings, takesNew, handed: handed?.pools, count: metrics.poolClaim };
  const warm = await keepPools(root, { tracker, kept, images, ...pools });
  return { tracker, kept, watch, pulls, images, warm, claimedPorts: ports.claimed };
}
