/** The reconciler of nodes follows Docker's events. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listen } from '../../managed-nodes/docker/node-events.ts';
import { silentLog } from '../support/reconciler-site.ts';

test('without a stream of events, no exit of a container counts until there is a stream again', async () => {
  const end = new AbortController();
  const heard: number[] = [];
  let told = 0;
  let calls = 0;
  async function* stream() {
    yield Buffer.from('{"status":"start"}\n');
    if (calls === 3) end.abort();
  }
  const docker = {
    call: async () => {
      calls += 1;
      if (calls === 2) throw new Error('Docker is gone');
      return stream();
    },
  };
  const begun = Date.now();
  await listen(
    {
      docker: docker as never,
      hostId: 'h',
      heard: (since) => void heard.push(since),
      told: () => {
        told += 1;
      },
      log: silentLog,
    },
    end.signal,
  );
  const ever = heard.map((since) => Number.isFinite(since));
  assert.deepEqual(ever, [true, false, false, true, false]);
  for (const since of heard) assert.ok(since >= begun);
  assert.equal(told, 4, 'for each stream and for each event');
});
