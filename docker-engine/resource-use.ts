/** A container's resource use and its limits, as Docker reads them from the container's control group. */

import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';

/** An amount in use, and its limit; undefined: there is no limit. */
export interface Used {
  readonly used: number;
  readonly limit?: number;
}

export interface ResourceUse {
  /** The time at which Docker read the values, in ISO 8601. */
  readonly at: string;
  /** `used` is in seconds of processor time since the start, `limit` in processors. */
  readonly processor: Used;
  /** In bytes, without the cache that the kernel can drop at once. */
  readonly memory: Used;
  /** Processes and threads. */
  readonly processes: Used;
}

const PATIENCE = 10_000;
const NANO = 1e9;

/** @throws {ServiceError} `docker.*`; status 404 if Docker does not know the container */
export async function resourceUse(docker: Pick<Docker, 'call'>, id: DockerId): Promise<ResourceUse> {
  const [stats, { HostConfig: host }] = await docker.call('stats', PATIENCE, (abortSignal, api) => {
    const container = api.getContainer(id);
    // Without `one-shot`, Docker waits a second for a second reading.
    const options = { stream: false, _query: { stream: false, 'one-shot': true }, abortSignal } as const;
    return Promise.all([container.stats(options), container.inspect({ abortSignal })]);
  });
  const { NanoCpus, CpuQuota, CpuPeriod, Memory, PidsLimit } = host;
  const quota = CpuQuota && CpuQuota > 0 ? CpuQuota / (CpuPeriod || 100_000) : undefined;
  return {
    at: stats.read,
    processor: usedOf((stats.cpu_stats.cpu_usage?.total_usage ?? 0) / NANO, (NanoCpus ?? 0) / NANO || quota),
    memory: usedOf(memoryOf(stats.memory_stats), Memory),
    processes: usedOf(stats.pids_stats?.current ?? 0, PidsLimit),
  };
}

/** Docker reports a missing limit as 0 or as a negative number. */
function usedOf(used: number, limit: number | null | undefined): Used {
  return limit && limit > 0 ? { used, limit } : { used };
}

/** Docker leaves these fields out if the container has just ended. */
interface MemoryStats {
  readonly usage?: number;
  /** The names are those of cgroup v2 and v1. */
  readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number };
}

/** Counts like `docker stats`. */
function memoryOf({ usage = 0, stats }: MemoryStats): number {
  return Math.max(0, usage - (stats?.total_inactive_file ?? stats?.inactive_file ?? 0));
}
