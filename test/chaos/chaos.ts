/**
 * Kills the service for real, repeatedly: at every step of a container's life, and then at random moments, with or without its
 * surroundings. After each death, nothing may be left behind or lost, and the death must be reported: `chaos.ts DEATHS [SEED
 * [DEATH]]`. The exit code is 1 if a promise was broken. The seed repeats the sequence, and the number of a death repeats only
 * that one.
 */

import { rmSync, symlinkSync } from 'node:fs';
import { S3 } from '../support/s3.ts';
import { TestHost } from '../support/test-host.ts';
import { type Outcome, oneDeath } from './one-death.ts';
import { type Plan, plans } from './plan.ts';

const DEATHS = Number(process.argv[2] ?? 60);
const SEED = Number(process.argv[3] ?? Date.now() % 1_000_000);
const ONLY = process.argv[4] === undefined ? undefined : Number(process.argv[4]);

function show({ number, death, missing }: Plan, { died, told, buried }: Outcome): void {
  const without = missing === 'nothing' ? '' : `, without ${missing}`;
  const ms = (value: number | undefined) => (value === undefined ? '' : `${value} ms`);
  const what = died ? `${death.way} at ${died}${without}` : `${death.way}: it ended before`;
  console.log(
    `${String(number).padStart(4)}  ${what.padEnd(60)} told ${ms(told).padEnd(8)} buried ${ms(buried)}`,
  );
}

symlinkSync('/run/docker.sock', '/run/chaos.sock');
await using host = await TestHost.open();
await using s3 = await S3.open();

async function attempt(plan: Plan): Promise<Outcome> {
  try {
    const outcome = await oneDeath({ host, s3 }, plan);
    await host.finish();
    show(plan, outcome);
    return outcome;
  } catch (error) {
    console.error(
      `death ${plan.number} (${JSON.stringify(plan)}) has broken a promise; make chaos SEED=${SEED} DEATH=${plan.number} repeats it`,
    );
    throw error;
  }
}

console.log(`seed ${SEED}`);
// A run that survives reports the number of steps.
const { steps = 0 } = await attempt({ number: 0, death: { way: 'SIGKILL' }, missing: 'nothing' });
console.log(`${steps} steps of the life of a container`);
let deaths = 0;
for (const plan of plans(SEED, steps)) {
  if (ONLY === undefined ? deaths >= DEATHS && plan.number > steps : plan.number > ONLY) break;
  if (ONLY !== undefined && plan.number !== ONLY) continue;
  if ((await attempt(plan)).died) deaths += 1;
}
rmSync('/run/chaos.sock');
console.log(`${deaths} deaths: nothing leaked, nothing was lost, and each was reported`);
