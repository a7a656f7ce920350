/** Starts the periodic checks that run while containers are hosted. */

import type { KeptContainers } from '../container/kept-containers.ts';
import { removeKeptInTime } from '../container/kept-files.ts';
import type { Tracker } from '../container/tracker.ts';
import { DiskWatch } from '../container/watching/disk-watch.ts';
import { HealthChecks } from '../container/watching/health-checks.ts';
import { Idle } from '../container/watching/idle.ts';
import { Sweeps } from '../container/watching/sweeps.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { retryReleases } from '../lifetime/retry-releases.ts';
import type { Logger } from '../logging/logger.ts';
import type { Settings } from '../settings/load.ts';
import { type History, useOfHost } from './metrics/history.ts';

export interface Rounds {
  readonly tracker: Tracker;
  readonly kept: KeptContainers;
  readonly settings: Settings;
  readonly paths: Paths;
  readonly metrics: { readonly history: History };
  readonly log: Logger;
  /** Whether new containers are accepted. A `wait` process neither sweeps nor checks health. */
  readonly takesNew: boolean;
}

/** The checks end with `root`. */
export async function beginRounds(root: Lifetime, rounds: Rounds): Promise<void> {
  const { tracker, kept, settings, paths, metrics, log, takesNew } = rounds;
  await removeKeptInTime(root, { paths, hours: settings.USER_CONFIG_KEEP_HOURS, log });
  retryReleases(root);
  if (takesNew) {
    const { UNCLAIMED_SECONDS: unclaimed, NOT_READY_SECONDS: notReady, HEALTH_PROBE_SECONDS } = settings;
    metrics.history.begin(root, () => useOfHost(paths.state));
    Sweeps.open(root, tracker, { unclaimed, notReady });
    if (HEALTH_PROBE_SECONDS !== undefined) HealthChecks.open(root, tracker, HEALTH_PROBE_SECONDS);
  }
  await DiskWatch.open(root, { tracker, kept, amount: settings.CONTAINER_DISK });
  Idle.open(root, tracker, settings.IDLE_SECONDS);
}
