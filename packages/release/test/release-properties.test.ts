/** Any release, any failure at any call, any kill, any second release: one consistent release, and a true record. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { configOf } from '../src/config/read.ts';
import { ReleaseError } from '../src/errors.ts';
import { Ledger } from '../src/record/ledger.ts';
import type { ReleaseRecord } from '../src/record/release-record.ts';
import { type Request, release } from '../src/release/deploy.ts';
import { observe } from '../src/release/observe.ts';
import { planRelease } from '../src/release/plan.ts';
import type { Tools } from '../src/release/work.ts';
import { connect, type Decide, type Fault } from './support/connection.ts';
import { SimulatedAws } from './support/simulated-aws.ts';
import { randomOf, VirtualTime } from './support/virtual-time.ts';

const CONFIG = `
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
`;
const SERVICES = ['portal', 'worker', 'indexer'];
const RULES = ['job-a', 'job-b'];

function makeAws(random: () => number): SimulatedAws {
  const aws = new SimulatedAws(new VirtualTime(random));
  for (const name of SERVICES) aws.addService(name, aws.addDefinition(name, 'image-old'));
  for (const rule of RULES) aws.addRule(rule, aws.addDefinition(rule, 'image-old'));
  aws.isGood = (image) => !image.includes('bad');
  return aws;
}

/** Starts a release of an image as a process of this name would. */
async function start(
  aws: SimulatedAws,
  owner: string,
  image: string,
  decide: Decide,
): Promise<ReleaseRecord> {
  const clock = aws.time.clockOf(owner);
  const { cloud, store } = connect(aws, owner, decide);
  const config = configOf(CONFIG, 'live', {}, 'test');
  const tools: Tools = {
    cloud,
    ledger: new Ledger(store, clock, 'shop', 'live'),
    clock,
    timing: config.timing,
    tell: () => {},
    signal: new AbortController().signal,
  };
  const request: Request = {
    kind: 'deploy',
    application: 'shop',
    stage: 'live',
    cluster: 'c',
    by: owner,
    patience: 30 * 60_000,
    onWait: () => {},
    observe: () => observe(cloud, config),
    plan: (observed) => planRelease(config, observed, { app: { reference: image, digest: image } }),
  };
  return await release(tools, request);
}

/** The images that services run and rules start. */
function imagesOn(aws: SimulatedAws): ReadonlySet<string> {
  const ofRules = RULES.flatMap((rule) => (aws.rules.get(rule) ?? []).map((one) => one.taskDefinition));
  return new Set([...SERVICES.map((name) => aws.runs(name)), ...ofRules].map((arn) => aws.imageOf(arn)));
}

type Ended = ReleaseRecord['outcome'] | 'superseded' | 'nothing to do' | 'failed' | 'locked' | 'killed';

async function outcomeOf(making: Promise<ReleaseRecord>): Promise<Ended> {
  return await making.then(
    ({ outcome }) => outcome,
    (error: unknown) => {
      if (!(error instanceof ReleaseError)) return 'failed';
      assert.notEqual(error.kind, 'usage', error.message);
      return error.kind as Ended;
    },
  );
}

function records(aws: SimulatedAws): readonly ReleaseRecord[] {
  return [...aws.objects]
    .filter(([name]) => name.includes('/releases/'))
    .map(([, { text }]) => JSON.parse(text));
}

function assertTrue(aws: SimulatedAws): void {
  const { lock, inFlight, current } = JSON.parse(aws.objects.get('shop/live/stage.json')?.text ?? '{}');
  if (lock || inFlight) return;
  const record = records(aws).find(({ id }) => id === current);
  const image = record?.images.app?.digest ?? 'image-old';
  assert.deepEqual([...imagesOn(aws)], [image], `the record says that the stage runs ${image}`);
  assert.equal(aws.suspended.size, 0, 'scaling is suspended still');
}

const FAULTS: readonly Exclude<Fault, undefined>[] = ['fail', 'lose answer', 'die before', 'die after'];

test('whatever fails, dies or comes second, the stage runs one release, and the record says which', async () => {
  const cases = fc.record({
    seed: fc.integer(),
    faults: fc.constantFrom(0, 0.005, 0.02, 0.06),
    kinds: fc.subarray([...FAULTS], { minLength: 1 }),
    releases: fc.array(fc.constantFrom('good', 'bad'), { minLength: 1, maxLength: 3 }),
    pauses: fc.boolean(),
    hasCircuitBreaker: fc.boolean(),
  });
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, faults, kinds, releases, pauses, hasCircuitBreaker }) => {
      const random = randomOf(seed);
      const aws = makeAws(random);
      aws.hasCircuitBreaker = hasCircuitBreaker;
      const ends = new Map<string, Ended>();
      const running = releases.map(async (kind, i) => {
        const owner = `process ${i}`;
        await aws.time.clockOf(owner).sleep(Math.floor(random() * 60_000));
        const decide: Decide = () => {
          if (pauses && random() < 0.005) aws.time.pause(owner, 200_000);
          return random() < faults ? kinds[Math.floor(random() * kinds.length)] : undefined;
        };
        ends.set(owner, await outcomeOf(start(aws, owner, `image-${i}-${kind}`, decide)));
      });
      void Promise.all(running);
      await aws.time.run();
      for (const end of ends.values()) seen.set(end, (seen.get(end) ?? 0) + 1);
      if (ends.size < releases.length) seen.set('killed', (seen.get('killed') ?? 0) + 1);
      assertTrue(aws);
      const last = outcomeOf(start(aws, 'the last one', 'image-last-good', () => undefined));
      await aws.time.run();
      assert.equal(await last, 'deployed');
      assert.deepEqual([...imagesOn(aws)], ['image-last-good']);
      assertTrue(aws);
      for (const { outcome, reason, id } of records(aws)) {
        assert.ok(['deployed', 'rolled back'].includes(outcome), `${id} is on record as ${outcome}`);
        assert.equal(reason !== undefined, outcome === 'rolled back', `${id} has the reason ${reason}`);
      }
    }),
    {
      numRuns: Number(process.env.RELEASES ?? 150),
      ...(process.env.SEED && { seed: Number(process.env.SEED) }),
    },
  );
  for (const end of ['deployed', 'rolled back', 'superseded', 'killed'])
    assert.ok((seen.get(end) ?? 0) > 0, `never: ${end}`);
});
