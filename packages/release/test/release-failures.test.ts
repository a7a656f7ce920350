/** Single failures in the middle of a release, one by one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf } from '../src/config/read.ts';
import { ReleaseError } from '../src/errors.ts';
import { Ledger } from '../src/record/ledger.ts';
import type { Cloud, Trigger } from '../src/release/cloud.ts';
import { type Request, release } from '../src/release/deploy.ts';
import { findTarget, planBack } from '../src/release/go-back.ts';
import { observe } from '../src/release/observe.ts';
import { planRelease } from '../src/release/plan.ts';
import { settingsOf } from '../src/release/trigger-settings.ts';
import { connect, type Decide } from './support/connection.ts';
import { SimulatedAws } from './support/simulated-aws.ts';
import { randomOf, VirtualTime } from './support/virtual-time.ts';

const config = (more = '') =>
  configOf(
    `
application: shop
stages: { live: { account: '123456789012', region: us-east-1, cluster: c, record: memory } }
images: { app: { repository: app } }
kinds: { mixed: { spot: 50 } }
services:
  a: { service: a, suspendAutoScaling: true, ${more} containers: { app: { image: app } } }
  b: { service: b, containers: { app: { image: app } } }
scheduled: { nightly: { families: 'job-*', containers: { app: { image: app } } } }
release: { timeout: 5m, poll: 5s }
`,
    'live',
    {},
    'test',
  );

function makeAws(): SimulatedAws {
  const aws = new SimulatedAws(new VirtualTime(randomOf(1)));
  for (const name of ['a', 'b']) aws.addService(name, aws.addDefinition(name, 'old'));
  aws.addRule('job-a', aws.addDefinition('job-a', 'old'));
  aws.isGood = (image) => !image.includes('bad');
  return aws;
}

interface How {
  readonly decide?: Decide;
  readonly isRollback?: boolean;
  readonly wrap?: (cloud: Cloud) => Cloud;
  readonly config?: ReturnType<typeof config>;
}

async function make(aws: SimulatedAws, image: string, how: How = {}): Promise<string> {
  const { cloud: plain, store } = connect(aws, image, how.decide ?? (() => undefined));
  const cloud = how.wrap?.(plain) ?? plain;
  const settings = how.config ?? config();
  const clock = aws.time.clockOf(image);
  const ledger = new Ledger(store, clock, 'shop', 'live');
  const tools = {
    ...{ cloud, ledger, clock, timing: settings.timing, tell: () => {} },
    signal: new AbortController().signal,
  };
  const request = async (): Promise<Request> => {
    const { to } = how.isRollback ? await findTarget(ledger, undefined) : {};
    return {
      ...{ kind: how.isRollback ? 'rollback' : 'deploy', application: 'shop', stage: 'live', cluster: 'c' },
      ...{ by: image, patience: 60_000, onWait: () => {}, observe: () => observe(cloud, settings) },
      ...(to !== undefined && { to }),
      plan: async (seen) =>
        how.isRollback
          ? await planBack(cloud, await findTarget(ledger, to), {})
          : planRelease(settings, seen, { app: { reference: image, digest: image } }),
    };
  };
  const made = request()
    .then((one) => release(tools, one))
    .then(
      ({ outcome }) => outcome,
      (error: unknown) => {
        if (error instanceof ReleaseError) return error.kind;
        throw error;
      },
    );
  await aws.time.run();
  return await made;
}

const images = (aws: SimulatedAws) => ['a', 'b'].map((name) => aws.imageOf(aws.runs(name)));
test('a second rollback past the first release is refused', async () => {
  const aws = makeAws();
  assert.equal(await make(aws, 'one'), 'deployed');
  assert.equal(await make(aws, 'back', { isRollback: true }), 'deployed');
  assert.deepEqual(images(aws), ['old', 'old']);
  assert.equal(await make(aws, 'again', { isRollback: true }), 'usage');
  assert.deepEqual(images(aws), ['old', 'old']);
});

test('capacity goes back, and revisions of a failed release are not the newest of their families', async () => {
  const aws = makeAws();
  const settings = config('kind: mixed,');
  assert.equal(await make(aws, 'bad', { config: settings }), 'rolled back');
  assert.deepEqual(aws.describe('a').capacity, []);
  assert.deepEqual(
    ['a', 'b', 'job-a'].map((family) => aws.definition(family).revision),
    [1, 1, 1],
  );
});

test('the size, the count and the schedule of a scheduled task change as a release, and go back', async () => {
  const aws = makeAws();
  const [before] = aws.rules.get('job-a') ?? [];
  const rule = { Name: 'job-a', ScheduleExpression: 'rate(1 day)', State: 'ENABLED' };
  aws.rules.set('job-a', [{ ...(before as Trigger), rule }]);
  const { scheduled, ...rest } = config();
  const wanted = { count: 3, schedule: 'cron(0 8 ? * MON-FRI *)', vcpu: 0.5, memory: 2048 };
  const nightly = { families: 'job-*', containers: {}, ...scheduled?.nightly, ...wanted };
  const settings = { ...rest, scheduled: { nightly } };
  const runs = () => {
    const [trigger] = aws.rules.get('job-a') as [Trigger];
    return { ...settingsOf(trigger), cpu: aws.definition(trigger.taskDefinition).cpu };
  };
  const old = { count: 1, schedule: 'rate(1 day)', cpu: undefined };
  const fails: Decide = (name) =>
    name === 'RegisterScalableTarget' && runs().count === 3 ? 'fail' : undefined;
  assert.equal(await make(aws, 'one', { config: settings, decide: fails }), 'rolled back');
  assert.deepEqual(runs(), old);
  assert.equal(await make(aws, 'one', { config: settings }), 'deployed');
  assert.deepEqual(runs(), { count: 3, schedule: wanted.schedule, cpu: '512' });
  assert.equal(await make(aws, 'one', { config: settings }), 'nothing to do');
  assert.equal(await make(aws, 'back', { isRollback: true }), 'deployed');
  assert.deepEqual(runs(), old);
});

test('automatic scaling is suspended during a release, and then as it was before', async () => {
  const aws = makeAws();
  let during: boolean | undefined;
  const decide: Decide = (name) => {
    if (name === 'UpdateService') during ??= aws.suspended.has('a');
    return undefined;
  };
  assert.equal(await make(aws, 'one', { decide }), 'deployed');
  assert.deepEqual([during, aws.suspended.size], [true, 0]);
  assert.equal(await make(aws, 'bad'), 'rolled back');
  assert.equal(aws.suspended.size, 0);
  // Somebody has suspended it for a reason of their own.
  aws.suspended.add('a');
  assert.equal(await make(aws, 'two'), 'deployed');
  assert.ok(aws.suspended.has('a'));
  aws.scalable.clear();
  assert.equal(await make(aws, 'three'), 'deployed');
});

test('a trigger that two entries of the configuration find is refused', async () => {
  const aws = makeAws();
  const { scheduled = {}, ...rest } = config();
  const twice = { ...rest, scheduled: { ...scheduled, other: { families: 'job-a', containers: {} } } };
  assert.equal(await make(aws, 'one', { config: twice }), 'usage');
});

test('tasks that were replaced under a moving tag are not said to be rolled back', async () => {
  const aws = makeAws();
  const settings = config('forceNewDeployment: true,');
  const puts: Decide = (name) => (name === 'PutTargets' ? 'fail' : undefined);
  const rule = aws.rules.get('job-a') ?? [];
  aws.addRule('job-a', aws.addDefinition('job-a', 'other'));
  assert.equal(await make(aws, 'old', { config: settings, decide: puts }), 'not rolled back');
  aws.rules.set('job-a', rule);
  assert.equal(await make(aws, 'new', { config: settings }), 'deployed');
});

test('a trigger that cannot go back keeps neither services nor scaling from it', async () => {
  const aws = makeAws();
  let asked = 0;
  const wrap = (cloud: Cloud): Cloud => ({
    ...cloud,
    triggersOfRule: async (rule) => {
      asked += 1;
      if (asked > 1) throw new Error('AccessDenied');
      return await cloud.triggersOfRule(rule);
    },
  });
  assert.equal(await make(aws, 'bad', { wrap }), 'not rolled back');
  assert.deepEqual(images(aws), ['old', 'old']);
  assert.equal(aws.suspended.size, 0);
});

test('a store that is away for a while ends no release', async () => {
  const aws = makeAws();
  let from = 0;
  const decide: Decide = (name) => {
    if (name === 'UpdateService' && from === 0) from = aws.time.now;
    return from > 0 && aws.time.now < from + 90_000 && /Object/.test(name) ? 'fail' : undefined;
  };
  assert.equal(await make(aws, 'one', { decide }), 'deployed');
  assert.deepEqual(images(aws), ['one', 'one']);
});

test('nothing is said to be done while the right revision does not run', async () => {
  const aws = makeAws();
  assert.equal(await make(aws, 'one'), 'deployed');
  assert.equal(await make(aws, 'one'), 'nothing to do');
  const { deployments } = aws.settle('a');
  for (const one of deployments) one.state = 'FAILED';
  assert.equal(await make(aws, 'one'), 'failed');
});
