import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Dockerode from 'dockerode';
import type { DockerCall } from '../../docker-engine/calls.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { resourceUse } from '../../docker-engine/resource-use.ts';

const ID = 'f'.repeat(64) as DockerId;
const AT = '2026-11-30T04:00:00.000000001Z';

/** Returns the resource use for an answer of Docker with these values. */
function useWith(memory: object, host: object) {
  const answers = {
    stats: async () => ({
      read: AT,
      cpu_stats: { cpu_usage: { total_usage: 1_500_000_000 } },
      memory_stats: memory,
      pids_stats: { current: 4 },
    }),
    inspect: async () => ({ HostConfig: host }),
  };
  const api = { getContainer: () => answers } as unknown as Dockerode;
  const call = <T>(_: DockerCall, _time: number, work: (signal: AbortSignal, api: Dockerode) => Promise<T>) =>
    work(new AbortController().signal, api);
  return resourceUse({ call }, ID);
}

test("a container's usage is listed with its limits, and page cache is not counted as memory", async () => {
  const host = { NanoCpus: 500_000_000, Memory: 4096, PidsLimit: 50 };
  for (const stats of [{ inactive_file: 100 }, { total_inactive_file: 100, inactive_file: 1 }])
    assert.deepEqual(await useWith({ usage: 1100, stats }, host), {
      at: AT,
      processor: { used: 1.5, limit: 0.5 },
      memory: { used: 1000, limit: 4096 },
      processes: { used: 4, limit: 50 },
    });
});

test('a container without limits has no limits in its usage, and a CPU quota counts as a limit', async () => {
  const none = await useWith({}, { NanoCpus: 0, Memory: 0, PidsLimit: -1, CpuQuota: 0 });
  assert.deepEqual([none.processor, none.memory, none.processes], [{ used: 1.5 }, { used: 0 }, { used: 4 }]);
  const quota = await useWith({}, { CpuQuota: 150_000, CpuPeriod: 100_000, PidsLimit: null });
  assert.deepEqual(quota.processor, { used: 1.5, limit: 1.5 });
});
