/**
 * The service dies, really, again and again: at every step of a container's life, then at random moments, with
 * everything at hand or without. After each death nothing may be left, nothing lost, and the death known:
 * `chaos.ts DEATHS [SEED [DEATH]]`. The exit code is 1 when a promise was broken; the seed repeats the sequence, and
 * with the number of a death that one alone.
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
// One that lives tells how many steps there are.
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
