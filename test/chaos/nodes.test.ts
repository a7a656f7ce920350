/**
 * Kills the service and Docker at steps of replacements that a seed determines. `make chaos-nodes` has more deaths, and
 * SEED repeats a sequence.
 */

import { test } from 'node:test';
import { Chance } from '../support/chance.ts';
import { hostForNodes } from '../support/host-for-nodes.ts';
import { deathOf, NodeChaos } from '../support/node-chaos.ts';
import { NodeSite } from '../support/node-site.ts';
import { SEED } from '../support/seed.ts';

const { NODE_DEATHS = '3' } = process.env;
/** The time limit in milliseconds for all deaths. */
const timeout = Number(NODE_DEATHS) * 200_000;

const { host, registry } = await hostForNodes();

test('whenever the service or Docker is killed, nodes settle in their wanted state, and nothing else is left', {
  timeout,
}, async (t) => {
  const chance = new Chance(SEED);
  t.diagnostic(`make chaos-nodes SEED=${SEED} repeats it`);
  const chaos = new NodeChaos(new NodeSite(host), registry);
  await chaos.begin();
  for (let deaths = 0; deaths < Number(NODE_DEATHS); ) {
    const death = deathOf(chance);
    const isReached = await chaos.death(death);
    t.diagnostic(`${JSON.stringify(death)}: ${isReached ? 'killed' : 'the step did not come'}`);
    if (isReached) deaths += 1;
  }
  await chaos.end();
});
