/** When the host runs out of memory, the kernel spares the service, but not the programs that it runs for others. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { processesThat } from '../../host/processes.ts';
import { runConfined } from '../../user-configs/confined.ts';
import { until } from '../support/site.ts';

/** It is not the service's own value, which a test may lack the right to set. What matters is that it is not inherited. */
const OWN = '300';

function adjustment(pid: number | 'self'): string {
  return readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim();
}

test('the OOM killer does not spare a confined child process, unlike its service', async () => {
  writeFileSync('/proc/self/oom_score_adj', OWN);
  assert.equal(adjustment('self'), OWN);
  const [view, tree] = ['/run/view', '/run/tree'];
  for (const path of [view, tree]) mkdirSync(path);
  const stop = new AbortController();
  const place = { view, tree, access: 'ro', user: 65_534, environment: {} } as const;
  const { ended } = runConfined({ ...place, script: ': found-by-this; read -r line' }, stop.signal);
  const isIt = async (pid: number) => {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return words[0] === 'bash' && words.includes(': found-by-this; read -r line');
  };
  let found: { readonly pid: number }[] = [];
  await until('it runs', async () => {
    found = await processesThat(async (pid) => await isIt(pid).catch(() => false));
    return found.length === 1;
  });
  assert.equal(adjustment((found[0] as { pid: number }).pid), '0');
  stop.abort();
  await ended;
});

test('systemd starts the service and its wait process with protection from the OOM killer', () => {
  for (const name of ['ecs-host-service', 'ecs-host-service-wait']) {
    const unit = readFileSync(new URL(`../../packaging/${name}.service`, import.meta.url), 'utf8');
    assert.match(unit, /^OOMScoreAdjust=-500$/m);
  }
});
