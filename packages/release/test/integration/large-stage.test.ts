/** Twelve services and more than a hundred families, with a faulty network and a slow AWS. */

import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CreateClusterCommand } from '@aws-sdk/client-ecs';
import { PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { CreateScheduleCommand, CreateScheduleGroupCommand } from '@aws-sdk/client-scheduler';
import { readNewestRevisions, readServices, readTaskDefinition } from '../../src/aws/task-reads.ts';
import { readGroup, readRule } from '../../src/aws/triggers.ts';
import { ACCOUNT, AwsHost, ENVIRONMENT, REGISTRY } from '../support/aws-host.ts';
import { type Break, FaultProxy } from '../support/fault-proxy.ts';
import { Rollouts } from '../support/rollouts.ts';
import { run } from '../support/tool.ts';

const SERVICES = Array.from({ length: 12 }, (_, i) => `service-${i}`);
const FAMILIES = Array.from({ length: 103 }, (_, i) => `job-${i}`);
const CONFIG = `
application: shop
stages: { live: { account: '${ACCOUNT}', region: us-east-1, cluster: shop, record: s3://releases/shop, tags: ['{commit}'] } }
images: { web: { repository: web, registry: '${REGISTRY}' } }
services:
${SERVICES.map((name, i) => `  ${name}: { service: ${name}, gate: ${i === 0}, containers: { app: { image: web } } }`).join('\n')}
scheduled: { jobs: { families: 'job-*', containers: { app: { image: web } } } }
release: { timeout: 2m, poll: 300ms }
`;

let aws: AwsHost;
let proxy: FaultProxy;
let cwd: string;

before(async () => {
  aws = await AwsHost.start(false);
  proxy = await FaultProxy.start(ENVIRONMENT.AWS_ENDPOINT_URL ?? '');
  cwd = await mkdtemp(join(tmpdir(), 'release-large-'));
  await writeFile(join(cwd, 'ecs-release.yaml'), CONFIG);
  await aws.makeCluster('shop');
  await aws.makeRepository('web');
  for (const name of SERVICES) await aws.makeService('shop', name, await aws.register(name, 'web:old'));
  for (const family of FAMILIES) await aws.makeRule(family, await aws.register(family, 'web:old'));
});
after(async () => {
  await proxy[Symbol.asyncDispose]();
  await aws[Symbol.asyncDispose]();
});

const deploy = async (commit: string) =>
  await run(['deploy', '--stage', 'live', '--set', `commit=${commit}`], {
    cwd,
    env: { AWS_ENDPOINT_URL: proxy.url },
  });

/** All images that services run and rules start. */
async function imagesOnStage(): Promise<ReadonlySet<string>> {
  const [ecs, events] = [await aws.clients.ecs(), await aws.clients.events()];
  const services = await readServices(ecs, 'shop', SERVICES);
  const rules = await Promise.all(FAMILIES.map((family) => readRule(events, family)));
  const arns = [...services, ...rules.flat()].map(({ taskDefinition }) => taskDefinition);
  assert.equal(arns.length, SERVICES.length + FAMILIES.length);
  const definitions = await Promise.all(arns.map((arn) => readTaskDefinition(ecs, arn)));
  return new Set(definitions.map(({ definition }) => definition.containerDefinitions?.[0]?.image ?? ''));
}

const rollouts = new Rollouts();

test('a release of twelve services and a hundred scheduled tasks makes at most 1.2 times the calls that AWS requires', async () => {
  const digest = await aws.putImage('web', 'one');
  proxy.reshape = (action, answer) => rollouts.reshape(action, answer);
  let updates = 0;
  proxy.decide = (action) => {
    if (action === 'UpdateService') updates += 1;
    if (action === 'UpdateService' && updates === 2) rollouts.note('the others begin');
    if (action === 'PutTargets') rollouts.note('the scheduled tasks move');
    return undefined;
  };
  const { code, stderr } = await deploy('one');
  proxy.reshape = (_, answer) => answer;
  proxy.decide = () => undefined;
  assert.equal(code, 0, stderr);
  assert.deepEqual([...(await imagesOnStage())], [`${REGISTRY}/web@${digest}`]);
  const [services, families] = [SERVICES.length, FAMILIES.length];
  const looks = proxy.calls.get('DescribeServices') ?? 0;
  // One DescribeTaskDefinition and RegisterTaskDefinition for each, one UpdateService or ListTargets and PutTargets.
  const least = 2 * (services + families) + services + 2 * families + Math.ceil(families / 100) + 1;
  const records = [...proxy.calls]
    .filter(([action]) => action.endsWith('S3'))
    .reduce((sum, [, count]) => sum + count, 0);
  assert.ok(
    proxy.total - looks - records <= 1.2 * least,
    `${proxy.total} calls: ${JSON.stringify([...proxy.calls])}`,
  );
});

test('the next step of a release waits for unstable tasks and for old tasks that drain', () => {
  assert.deepEqual([...(rollouts.notes.get('the others begin')?.healthy ?? [])], ['service-0']);
  assert.deepEqual(
    [...(rollouts.notes.get('the scheduled tasks move')?.gone ?? [])].toSorted(),
    SERVICES.toSorted(),
  );
});

test('a schedule of EventBridge Scheduler starts the new revision and keeps all other settings', async () => {
  const digest = await aws.putImage('web', 'hourly');
  const scheduler = await aws.clients.scheduler();
  await scheduler.send(new CreateScheduleGroupCommand({ Name: 'hourly' }));
  const schedule = {
    Name: 'sync',
    GroupName: 'hourly',
    ScheduleExpression: 'rate(1 hour)',
    FlexibleTimeWindow: { Mode: 'OFF' as const },
    StartDate: new Date('2026-01-01T00:00:00Z'),
    Target: {
      Arn: `arn:aws:ecs:us-east-1:${ACCOUNT}:cluster/shop`,
      RoleArn: `arn:aws:iam::${ACCOUNT}:role/scheduler`,
      Input: '{"containerOverrides":[]}',
      EcsParameters: { TaskDefinitionArn: await aws.register('sync', 'web:old'), TaskCount: 2 },
    },
  };
  await scheduler.send(new CreateScheduleCommand(schedule));
  const config = CONFIG.replace(/services:[\s\S]*release:/, 'SCHEDULED\nrelease:')
    .replace(
      'SCHEDULED',
      "scheduled: { hourly: { families: 'sy*', scheduleGroup: hourly, containers: { app: { image: web } } } }",
    )
    .replace('application: shop', 'application: hourly');
  await writeFile(join(cwd, 'hourly.yaml'), config);
  const words = ['--config', 'hourly.yaml', '--stage', 'live', '--set', 'commit=hourly'];
  const { code, stderr } = await run(['deploy', ...words], { cwd });
  assert.equal(code, 0, stderr);
  const [moved] = await readGroup(scheduler, 'hourly');
  const { definition } = await readTaskDefinition(await aws.clients.ecs(), moved?.taskDefinition ?? '');
  assert.equal(definition.containerDefinitions?.[0]?.image, `${REGISTRY}/web@${digest}`);
  const back = await run(['rollback', ...words], { cwd });
  assert.equal(back.code, 0, back.stderr);
  const [{ whole } = { whole: {} }] = await readGroup(scheduler, 'hourly');
  assert.partialDeepStrictEqual(whole, schedule);
});

test('throttling, failures, lost answers, stale reads and short pages do not break a release', async () => {
  const digest = await aws.putImage('web', 'two');
  const kinds: readonly Break[] = ['throttle', 'fail', 'refuse', 'reset'];
  let [calls, looks] = [0, 0];
  proxy.pageSize = 7;
  proxy.decide = (action) => {
    calls += 1;
    // AWS may return old data about services. A lock in S3 is always read as it was written.
    if (action === 'DescribeServices') looks += 1;
    if (action === 'DescribeServices' && looks % 3 === 0) return 'stale';
    return calls % 6 === 0 ? kinds[(calls / 6) % kinds.length] : undefined;
  };
  const { code, stderr } = await deploy('two');
  assert.equal(code, 0, stderr);
  assert.ok(proxy.cut.has('ListTaskDefinitionFamilies'));
  for (const kind of [...kinds, 'stale' as const])
    assert.ok((proxy.broken.get(kind) ?? 0) > 0, `never: ${kind}`);
  assert.deepEqual([...(await imagesOnStage())], [`${REGISTRY}/web@${digest}`]);
});

test('if AWS accepts no more changes in the middle of a release, everything that was changed is rolled back', async () => {
  const before = await imagesOnStage();
  await aws.putImage('web', 'three');
  proxy.pageSize = undefined;
  let puts = 0;
  proxy.decide = (action) => {
    if (action === 'PutTargets') puts += 1;
    return action === 'PutTargets' && puts > 20 && puts <= 28 ? 'throttle' : undefined;
  };
  const { code, stderr } = await deploy('three');
  assert.equal(code, 3, stderr);
  assert.match(stderr, /failed and was rolled back: .*Rate exceeded/);
  proxy.decide = () => undefined;
  assert.deepEqual(await imagesOnStage(), before);
  const ecs = await aws.clients.ecs();
  const [arn = ''] = await readNewestRevisions(ecs, 'job-0');
  const newest = await readTaskDefinition(ecs, arn);
  assert.ok(before.has(newest.definition.containerDefinitions?.[0]?.image ?? ''), 'a failed revision stays');
});

test('each list is read to its last page', async () => {
  for (let i = 0; i < 8; i += 1) await aws.putImage('web', `more-${i}`);
  proxy.pageSize = 7;
  const show = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await run(words, { cwd, env: { AWS_ENDPOINT_URL: proxy.url } });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const onStage = ['--stage', 'live', '--set', 'commit=two'];
  const found = await show('init', '--cluster', 'shop', '--region', 'us-east-1', '--dry-run');
  for (const name of [...SERVICES, ...FAMILIES]) assert.match(found, new RegExp(`\\b${name}$`, 'm'));
  const images = await show('images', 'list', 'web', ...onStage);
  for (let i = 0; i < 8; i += 1) assert.match(images, new RegExp(`more-${i}\\b`));
  const tasks = JSON.parse(await show('tasks', ...onStage, '--json'));
  for (const name of SERVICES) assert.ok(JSON.stringify(tasks).includes(name), `no task of ${name}`);
  proxy.pageSize = 1;
  assert.equal(JSON.parse(await show('history', ...onStage, '--json')).length, 3);
  await twoOfEach();
  const pairs = await show('init', '--cluster', 'pairs', '--region', 'us-east-1', '--dry-run');
  for (const place of ['rule: twice', 'scheduleGroup: pair', 'scheduleGroup: second'])
    assert.match(pairs, new RegExp(`${place}$`, 'm'));
  await writeFile(join(cwd, 'pairs.yaml'), pairs);
  const scheduled = JSON.parse(
    await show('schedules', '--config', 'pairs.yaml', '--stage', 'staging', '--json'),
  );
  const ids = scheduled.map(({ place, id }: { place: string; id: string }) => `${place}/${id}`);
  assert.deepEqual(ids.toSorted(), ['pair/a', 'pair/b', 'second/c', 'twice/1', 'twice/2']);
  for (const list of [
    ...['ListServices', 'ListRules', 'DescribeImages', 'ListTasks', 'ListObjectsV2'],
    ...['ListTargetsByRule', 'ListScheduleGroups', 'ListSchedules', 'ListTaskDefinitionFamilies'],
  ])
    assert.ok(proxy.cut.has(list), `${list} was never cut`);
});

/** Makes a cluster with a rule that has two targets, and with schedules in two groups. */
async function twoOfEach(): Promise<void> {
  await (await aws.clients.ecs()).send(new CreateClusterCommand({ clusterName: 'pairs' }));
  const TaskDefinitionArn = await aws.register('pair', `${REGISTRY}/web:old`);
  const Arn = `arn:aws:ecs:us-east-1:${ACCOUNT}:cluster/pairs`;
  const target = { Arn, RoleArn: `arn:aws:iam::${ACCOUNT}:role/x`, EcsParameters: { TaskDefinitionArn } };
  const events = await aws.clients.events();
  await events.send(new PutRuleCommand({ Name: 'twice', ScheduleExpression: 'rate(1 day)' }));
  const Targets = ['1', '2'].map((Id) => ({ ...target, Id }));
  await events.send(new PutTargetsCommand({ Rule: 'twice', Targets }));
  const scheduler = await aws.clients.scheduler();
  for (const Name of ['pair', 'second']) await scheduler.send(new CreateScheduleGroupCommand({ Name }));
  const shape = { ScheduleExpression: 'rate(1 hour)', FlexibleTimeWindow: { Mode: 'OFF' as const } };
  for (const [GroupName, Name] of [
    ['pair', 'a'],
    ['pair', 'b'],
    ['second', 'c'],
  ])
    await scheduler.send(new CreateScheduleCommand({ ...shape, GroupName, Name, Target: target }));
}
