/**
 * The service and Docker are killed at steps of replacements that a seed gives. `make chaos-nodes` has more deaths, and
 * SEED repeats a sequence.
 */

import { after, afterEach, before, test } from 'node:test';
import { Chance } from '../support/chance.ts';
import { deathOf, NodeChaos } from '../support/node-chaos.ts';
import { NodeSite } from '../support/node-site.ts';
import { Registry } from '../support/registry.ts';
import { SEED } from '../support/seed.ts';
import { TestHost } from '../support/test-host.ts';

const { NODE_DEATHS = '3' } = process.env;

let host: TestHost;
let registry: Registry;
before(async () => {
  host = new TestHost();
  await host.startDocker();
  registry = await Registry.open();
});
after(async () => {
  await registry[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(() => host.finish());

test('whenever the service or Docker is killed, nodes settle in their wanted state, and nothing else is left', async (t) => {
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
