/**
 * Any release, any failure at any call, any kill, any second release: the stage runs one consistent release, and the
 * record is true.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { configOf } from '../src/config/read.ts';
import type { Decide, Fault } from './support/connection.ts';
import {
  assertTrue,
  type Ended,
  hold,
  imagesOn,
  makeAlone,
  makeRelease,
  unlock,
} from './support/release-process.ts';
import { SimulatedAws } from './support/simulated-aws.ts';
import { randomOf, VirtualTime } from './support/virtual-time.ts';

const config = configOf(
  `
application: shop
stages: { live: { account: '123456789012', region: us-east-1, cluster: c, record: memory } }
images: { app: { repository: app } }
services:
  portal: { service: portal, gate: true, suspendAutoScaling: true, containers: { app: { image: app } } }
  worker: { service: worker, count: 2, containers: { app: { image: app } } }
  indexer: { service: indexer, containers: { app: { image: app } } }
scheduled: { nightly: { families: 'job-*', containers: { app: { image: app } } } }
tasks:
  before: [{ name: migrate, family: portal, command: [migrate] }]
  after: [{ name: load, family: worker, command: [load] }]
release: { timeout: 5m, poll: 5s }
`,
  'live',
  {},
  'test',
);

function makeAws(random: () => number): SimulatedAws {
  const aws = new SimulatedAws(new VirtualTime(random));
  for (const name of ['portal', 'worker', 'indexer'])
    aws.addService(name, aws.addDefinition(name, 'image-old'));
  for (const rule of ['job-a', 'job-b']) aws.addRule(rule, aws.addDefinition(rule, 'image-old'));
  aws.isGood = (image) => !image.includes('bad');
  return aws;
}

/**
 * Makes the first release. Then an operator makes a rule name a family, so that the rule starts its newest revision.
 */
async function makeFirst(aws: SimulatedAws): Promise<void> {
  assert.equal(await makeAlone(aws, 'the first one', { config, image: 'image-first' }), 'deployed');
  aws.addRule('job-a', 'job-a');
}

/** Holds the lock for a while. A person who dies leaves the hold behind. */
async function holdAwhile(aws: SimulatedAws, owner: string, decide: Decide, time: number): Promise<Ended> {
  const end = await hold(aws, owner, decide);
  if (end === 'held') {
    await aws.time.clockOf(owner).sleep(time);
    await unlock(aws, owner, decide);
  }
  return end;
}

/** Removes a hold that is left. */
async function removeHold(aws: SimulatedAws): Promise<void> {
  const { lock } = JSON.parse(aws.objects.get('shop/live/stage.json')?.text ?? '{}');
  if (lock?.reason === undefined) return;
  const unlocked = unlock(aws, 'somebody', () => undefined);
  await aws.time.run();
  assert.equal(await unlocked, 'nothing to do');
}

/** The next deploys settle what is left: first a deploy that fails, then one that succeeds. */
async function assertSettles(aws: SimulatedAws): Promise<void> {
  await removeHold(aws);
  assertTrue(aws);
  assert.equal(await makeAlone(aws, 'a bad one', { config, image: 'image-bad' }), 'rolled back');
  assertTrue(aws);
  assert.equal(await makeAlone(aws, 'the last one', { config, image: 'image-last' }), 'deployed');
  assertTrue(aws);
  assert.deepEqual([...imagesOn(aws)], ['image-last']);
}

const FAULTS: readonly Exclude<Fault, undefined>[] = ['fail', 'lose answer', 'die before', 'die after'];

test('despite failures, crashes and concurrent releases, the stage runs one release, and the record names it', async () => {
  const cases = fc.record({
    seed: fc.integer(),
    faults: fc.constantFrom(0, 0.005, 0.02, 0.06),
    kinds: fc.subarray([...FAULTS], { minLength: 1 }),
    releases: fc.array(fc.constantFrom('good', 'bad', 'rollback', 'unlock', 'hold'), {
      minLength: 1,
      maxLength: 3,
    }),
    pauses: fc.boolean(),
    isInterrupted: fc.boolean(),
    isBehind: fc.boolean(),
    hasCircuitBreaker: fc.boolean(),
  });
  const seen = new Map<string, number>();
  const count = (end: string) => seen.set(end, (seen.get(end) ?? 0) + 1);
  await fc.assert(
    fc.asyncProperty(
      cases,
      async ({ seed, faults, kinds, releases, pauses, isInterrupted, isBehind, hasCircuitBreaker }) => {
        const random = randomOf(seed);
        const aws = makeAws(random);
        aws.hasCircuitBreaker = hasCircuitBreaker;
        aws.isBehind = isBehind;
        if (random() < 0.5) await makeFirst(aws);
        const ends: Ended[] = [];
        const running = releases.map(async (kind, i) => {
          const owner = `process ${i}`;
          await aws.time.clockOf(owner).sleep(Math.floor(random() * 60_000));
          const decide: Decide = () => {
            if (pauses && random() < 0.005) aws.time.pause(owner, 200_000);
            return random() < faults ? kinds[Math.floor(random() * kinds.length)] : undefined;
          };
          if (kind === 'hold')
            return void ends.push(await holdAwhile(aws, owner, decide, Math.floor(random() * 120_000)));
          if (kind === 'unlock') return void ends.push(await unlock(aws, owner, decide));
          const end = await makeRelease(aws, owner, {
            ...{ config, decide },
            ...(kind !== 'rollback' && { image: `image-${i}-${kind}` }),
            ...(isInterrupted && { signal: aws.time.timeout(Math.floor(random() * 90_000)) }),
          });
          if (kind !== 'rollback') assert.notEqual(end, 'usage');
          ends.push(end);
        });
        const all = Promise.all(running);
        all.catch(() => {});
        await aws.time.run();
        await Promise.race([all, new Promise(setImmediate)]);
        for (const end of ends) count(end);
        if (ends.length < releases.length) count('killed');
        await assertSettles(aws);
      },
    ),
    {
      numRuns: Number(process.env.RELEASES ?? 150),
      ...(process.env.SEED && { seed: Number(process.env.SEED) }),
    },
  );
  for (const end of ['deployed', 'rolled back', 'superseded', 'killed', 'held'])
    assert.ok((seen.get(end) ?? 0) > 0, `never: ${end}`);
});

for (const [kind, image] of [
  ['deploy that works', 'image-good'],
  ['deploy that fails', 'image-bad'],
  ['rollback', undefined],
] as const)
  test(`if a ${kind} fails or crashes at any of its calls, the next release settles the stage`, async () => {
    const make = async (fault: Fault, at: number): Promise<readonly string[]> => {
      const aws = makeAws(randomOf(at));
      await makeFirst(aws);
      aws.isBehind = true;
      const calls: string[] = [];
      const decide: Decide = (name) => (calls.push(name) === at ? fault : undefined);
      const ended = makeAlone(aws, 'this one', { config, decide, ...(image !== undefined && { image }) });
      await (fault?.startsWith('die') ? aws.time.run() : ended);
      assertTrue(aws);
      assert.equal(await makeAlone(aws, 'a bad one', { config, image: 'image-bad' }), 'rolled back');
      assertTrue(aws);
      return calls;
    };
    const calls = await make(undefined, 0);
    for (const [i, name] of calls.entries())
      for (const fault of faultsOf(name))
        await make(fault, i + 1).catch((error: unknown) => {
          throw new Error(`${fault} at call ${i + 1}, ${name}`, { cause: error });
        });
  });

/** A death before a call is the same as a death after the previous one, and reads leave nothing behind. */
function faultsOf(call: string): readonly Fault[] {
  return /^(Describe|List|Get)/.test(call) ? ['fail'] : ['fail', 'lose answer', 'die after'];
}
