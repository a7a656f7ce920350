/**
 * Upgrades in which something dies, at steps that a seed gives. `make chaos-upgrades` takes every step, SEED repeats a
 * sequence, and ONLY selects those whose names contain a text.
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Chance } from '../support/chance.ts';
import { S3 } from '../support/s3.ts';
import { SEED } from '../support/seed.ts';
import { TestHost } from '../support/test-host.ts';
import { DyingUpgrade, linkDocker, nameOf, UPGRADE_DEATHS } from '../support/upgrade-chaos.ts';
import { World } from '../support/world.ts';

const { DEATHS = '3', ONLY = '' } = process.env;
/** The time limit in milliseconds for one death. All deaths together take longer than a test may take by default. */
const timeout = 600_000;

let host: TestHost;
let world: World;
let s3: S3;
before(async () => {
  linkDocker();
  host = await TestHost.open();
  world = await World.open();
  s3 = await S3.open();
});
after(async () => {
  await s3[Symbol.asyncDispose]();
  await world.close();
  await host[Symbol.asyncDispose]();
});

test('whatever dies in an upgrade, containers in use are kept or end as in a stop, nothing leaks, and the next service accepts calls', {
  timeout: Number(DEATHS) * timeout,
}, async (t) => {
  const chance = new Chance(SEED);
  t.diagnostic(`make chaos-upgrades SEED=${SEED} repeats it`);
  const left = UPGRADE_DEATHS.filter((death) => nameOf(death).includes(ONLY));
  assert.ok(left.length > 0, `no step’s name contains ${ONLY}`);
  for (let deaths = 0; deaths < Number(DEATHS) && left.length > 0; deaths++) {
    const [death] = left.splice(chance.below(left.length), 1);
    if (!death) break;
    await t.test(nameOf(death), { timeout }, () => new DyingUpgrade({ host, world, s3 }, death).run());
  }
});
