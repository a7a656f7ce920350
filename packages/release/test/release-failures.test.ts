/** Single failures in the middle of a release, one by one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf } from '../src/config/read.ts';
import type { Cloud, Trigger } from '../src/release/cloud.ts';
import { settingsOf } from '../src/release/trigger-settings.ts';
import type { Decide } from './support/connection.ts';
import { makeAlone, makeRelease, type Process } from './support/release-process.ts';
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

const make = (aws: SimulatedAws, image: string, more: Omit<Process, 'config'> & Partial<Process> = {}) =>
  makeAlone(aws, image, { config: config(), image, ...more });
/** A rollback to the previous release. */
const goBack = (aws: SimulatedAws, owner: string) => makeAlone(aws, owner, { config: config() });

const images = (aws: SimulatedAws) => ['a', 'b'].map((name) => aws.imageOf(aws.runs(name)));

test('a second rollback past the first release is refused', async () => {
  const aws = makeAws();
  assert.equal(await make(aws, 'one'), 'deployed');
  assert.equal(await goBack(aws, 'back'), 'deployed');
  assert.deepEqual(images(aws), ['old', 'old']);
  assert.equal(await goBack(aws, 'again'), 'usage');
  assert.deepEqual(images(aws), ['old', 'old']);
});

test('a rollback restores capacity and deregisters the revisions of the failed release', async () => {
  const aws = makeAws();
  const settings = config('kind: mixed,');
  assert.equal(await make(aws, 'bad', { config: settings }), 'rolled back');
  assert.deepEqual(aws.describe('a').capacity, []);
  assert.deepEqual(
    ['a', 'b', 'job-a'].map((family) => aws.definition(family).revision),
    [1, 1, 1],
  );
});

test('a release changes the size, the count and the schedule of a scheduled task, and a rollback restores them', async () => {
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
  assert.equal(await goBack(aws, 'back'), 'deployed');
  assert.deepEqual(runs(), old);
});

test('automatic scaling is suspended during a release and then restored', async () => {
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
  // An operator has suspended it for another reason.
  aws.suspended.add('a');
  assert.equal(await make(aws, 'two'), 'deployed');
  assert.ok(aws.suspended.has('a'));
  aws.scalable.clear();
  assert.equal(await make(aws, 'three'), 'deployed');
});

test('a trigger that matches two entries of the configuration is refused', async () => {
  const aws = makeAws();
  const { scheduled = {}, ...rest } = config();
  const twice = { ...rest, scheduled: { ...scheduled, other: { families: 'job-a', containers: {} } } };
  assert.equal(await make(aws, 'one', { config: twice }), 'usage');
});

test('the tool does not claim to have rolled back tasks that were replaced under a moving tag', async () => {
  const aws = makeAws();
  const settings = config('forceNewDeployment: true,');
  const puts: Decide = (name) => (name === 'PutTargets' ? 'fail' : undefined);
  const rule = aws.rules.get('job-a') ?? [];
  aws.addRule('job-a', aws.addDefinition('job-a', 'other'));
  assert.equal(await make(aws, 'old', { config: settings, decide: puts }), 'not rolled back');
  aws.rules.set('job-a', rule);
  assert.equal(await make(aws, 'new', { config: settings }), 'deployed');
});

test('if a trigger cannot be rolled back, services and scaling still are', async () => {
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

test('an outage of the store pauses a release and does not end it', async () => {
  const aws = makeAws();
  let from = 0;
  const decide: Decide = (name) => {
    if (name === 'UpdateService' && from === 0) from = aws.time.now;
    return from > 0 && aws.time.now < from + 90_000 && /Object/.test(name) ? 'fail' : undefined;
  };
  assert.equal(await make(aws, 'one', { decide }), 'deployed');
  assert.deepEqual(images(aws), ['one', 'one']);
});

test('a deploy fails if the right revision is deployed but does not run', async () => {
  const aws = makeAws();
  assert.equal(await make(aws, 'one'), 'deployed');
  assert.equal(await make(aws, 'one'), 'nothing to do');
  const { deployments } = aws.settle('a');
  for (const one of deployments) one.state = 'FAILED';
  assert.equal(await make(aws, 'one'), 'failed');
});

test('a revision whose registration AWS did not answer is deregistered', async () => {
  const aws = makeAws();
  const decide: Decide = (name) => (name === 'RegisterTaskDefinition' ? 'lose answer' : undefined);
  assert.equal(await make(aws, 'one', { decide }), 'rolled back');
  assert.equal(aws.definition('a').revision, 1);
  // A process that dies at this point leaves the same state behind.
  const dying: Decide = (name) => (name === 'RegisterTaskDefinition' ? 'die after' : undefined);
  void make(aws, 'two', { decide: dying });
  await aws.time.run();
  assert.equal(await make(aws, 'bad'), 'rolled back');
  assert.equal(aws.definition('a').revision, 1);
});

test('a service whose update AWS did not answer is rolled back, even if reads still show the old state', async () => {
  const aws = makeAws();
  aws.isBehind = true;
  let updates = 0;
  const decide: Decide = (name) => {
    if (name === 'UpdateService') updates += 1;
    return name === 'UpdateService' && updates === 1 ? 'lose answer' : undefined;
  };
  assert.equal(await make(aws, 'one', { decide }), 'rolled back');
  assert.deepEqual(images(aws), ['old', 'old']);
});

test('a rollback returns to the release that was requested, even if another release ended while it waited', async () => {
  const aws = makeAws();
  assert.equal(await make(aws, 'one'), 'deployed');
  let goingBack: Promise<string> | undefined;
  const decide: Decide = (name) => {
    // The rollback is requested while the release "one" is the newest finished one.
    if (name === 'UpdateService') goingBack ??= makeRelease(aws, 'back', { config: config() });
    return undefined;
  };
  assert.equal(await make(aws, 'two', { decide }), 'deployed');
  await aws.time.run();
  assert.equal(await goingBack, 'deployed');
  assert.deepEqual(images(aws), ['old', 'old']);
});
