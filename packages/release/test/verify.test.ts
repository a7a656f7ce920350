/** The problems that `verify` finds, one at a time. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configOf } from '../src/config/read.ts';
import type { Trigger } from '../src/release/cloud.ts';
import { checkAlarm } from '../src/verify/alarms.ts';
import { checkPlatform, platformOf, referenceOf } from '../src/verify/images.ts';
import { expiring } from '../src/verify/lifecycle.ts';
import { rightsOf, rightsOfExecution } from '../src/verify/rights.ts';
import { identityProblems } from '../src/verify/secrets.ts';
import { misfit } from '../src/verify/target-groups.ts';
import { checkTrigger, rolesOfTriggers } from '../src/verify/triggers.ts';

const day = (n: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + n * 86_400_000);
const policyOf = (...rules: readonly object[]) =>
  JSON.stringify({ rules: rules.map((selection, i) => ({ rulePriority: i + 1, selection })) });
const IMAGES = [
  { imageDigest: 'sha256:a', imageTags: ['prod-1'], imagePushedAt: day(0) },
  { imageDigest: 'sha256:b', imageTags: ['staging-1'], imagePushedAt: day(1) },
  { imageDigest: 'sha256:c', imagePushedAt: day(2) },
];

test('verify finds a lifecycle policy that would remove an image in use, by age or by count', () => {
  const aged = {
    ...{ tagStatus: 'tagged', tagPrefixList: ['prod'], countUnit: 'days' },
    ...{ countType: 'sinceImagePushed', countNumber: 180 },
  };
  const untagged = { tagStatus: 'untagged', countType: 'imageCountMoreThan', countNumber: 1 };
  const policy = policyOf(aged, untagged);
  const found = (days: number, ...inUse: readonly string[]) =>
    expiring(policy, IMAGES, new Set(inUse), day(days).getTime()).map(({ isSoon, text }) => [isSoon, text]);
  const text = 'rule 1 removes sha256:a 180 days after it was pushed, which is 2026-06-30';
  assert.deepEqual(found(10, 'sha256:a', 'sha256:b'), [[false, text]]);
  assert.deepEqual(found(170, 'sha256:a'), [[true, text]]);
  const counted = 'rule 2 removes sha256:c when there are 1 newer images (it is number 1)';
  assert.deepEqual(found(10, 'sha256:c'), [[true, counted]]);
});

test('a lifecycle rule with several tags selects only images with all of them, and an earlier rule protects', () => {
  const both = {
    tagStatus: 'tagged',
    tagPrefixList: ['prod', 'keep'],
    countType: 'imageCountMoreThan',
    countNumber: 1,
  };
  assert.deepEqual(expiring(policyOf(both), IMAGES, new Set(['sha256:a']), 0), []);
  const kept = {
    tagStatus: 'tagged',
    tagPatternList: ['pr*-1'],
    countType: 'imageCountMoreThan',
    countNumber: 999,
  };
  const all = { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: 1 };
  const [first] = expiring(policyOf(kept, all), IMAGES, new Set(['sha256:a']), 0);
  assert.deepEqual([first?.isSoon, /rule 1 .* 999 newer/.test(first?.text ?? '')], [false, true]);
  const archive = { tagStatus: 'any', countType: 'sinceImagePulled', countUnit: 'days', countNumber: 30 };
  const rule = { rulePriority: 1, action: { type: 'transition' }, selection: archive };
  const pulled = IMAGES.map((one) => ({ ...one, lastRecordedPullTime: day(40) }));
  const [archived] = expiring(JSON.stringify({ rules: [rule] }), pulled, new Set(['sha256:b']), 0);
  assert.match(
    archived?.text ?? '',
    /archives sha256:b 30 days after it was last pulled, which is 2026-03-12/,
  );
});

test('verify refuses an image for another platform than its tasks', () => {
  const FARGATE = { requiresCompatibilities: ['FARGATE' as const] };
  assert.equal(platformOf({}), undefined);
  assert.equal(platformOf(FARGATE), 'linux/amd64');
  const arm = platformOf({ ...FARGATE, runtimePlatform: { cpuArchitecture: 'ARM64' } });
  assert.equal(arm, 'linux/arm64');
  assert.deepEqual(checkPlatform('image web', ['linux/amd64', 'linux/arm64'], [arm, undefined]), {
    what: 'image web (linux/amd64, linux/arm64)',
    state: 'good',
  });
  const { state, why } = checkPlatform('image web', ['linux/arm64'], ['linux/amd64']);
  assert.equal(state, 'bad');
  assert.match(why ?? '', /built for linux\/arm64, but its tasks run on linux\/amd64\. Set "platform"/);
});

test('the image reference of a task definition is parsed', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  for (const [image, host, repository, reference] of [
    ['localhost:4566/a/b:tag', 'localhost:4566', 'a/b', 'tag'],
    [`1.dkr.ecr.r.amazonaws.com/web@${digest}`, '1.dkr.ecr.r.amazonaws.com', 'web', digest],
    ['1.dkr.ecr.r.amazonaws.com/web', '1.dkr.ecr.r.amazonaws.com', 'web', 'latest'],
  ] as const)
    assert.deepEqual(referenceOf(image), { host, repository, reference });
});

const target = {
  Id: '1',
  Arn: 'arn:aws:ecs:r:1:cluster/shop',
  RoleArn: 'arn:aws:iam::1:role/events',
  EcsParameters: { TaskDefinitionArn: 'a:1', LaunchType: 'FARGATE', NetworkConfiguration: {} },
};
const trigger = (whole: object): Trigger => ({
  ...{ kind: 'rule', place: 'nightly', id: '1', taskDefinition: 'a:1' },
  whole: { ...whole },
});

test('verify finds a rule of another cluster, a rule without a role or a network, and a disabled rule', () => {
  const check = (whole: object, isOff = false) => checkTrigger(trigger(whole), isOff, 'shop');
  assert.deepEqual(check(target), { what: 'rule nightly, target 1', state: 'good' });
  assert.equal(check(target, true).state, 'warning');
  for (const [whole, why] of [
    [{ ...target, Arn: 'arn:aws:ecs:r:1:cluster/other' }, /starts tasks in the cluster other/],
    [{ ...target, RoleArn: undefined }, /no role for starting tasks/],
    [{ ...target, EcsParameters: { LaunchType: 'FARGATE' } }, /on Fargate without a network/],
  ] as const) {
    const { state, why: told = '' } = check(whole);
    assert.equal(state, 'bad');
    assert.match(told, why);
  }
  const schedule: Trigger = { ...trigger({ Target: target }), kind: 'schedule', place: 'group' };
  assert.equal(checkTrigger(schedule, false, 'arn:aws:ecs:r:1:cluster/shop').state, 'good');
  assert.deepEqual(rolesOfTriggers([trigger(target), schedule]), [
    [target.RoleArn, 'events.amazonaws.com'],
    [target.RoleArn, 'scheduler.amazonaws.com'],
  ]);
});

test('verify finds a target group that does not match its tasks', () => {
  const group = { LoadBalancerArns: ['lb'], TargetType: 'ip' as const };
  const use = { containerName: 'proxy', containerPort: 80 };
  const containerDefinitions = [{ name: 'proxy', portMappings: [{ containerPort: 80 }] }];
  const definition = { networkMode: 'awsvpc' as const, containerDefinitions };
  assert.equal(misfit(group, use, definition), undefined);
  assert.match(misfit(group, { ...use, containerName: 'app' }, definition) ?? '', /no container app/);
  assert.match(misfit(group, { ...use, containerPort: 81 }, definition) ?? '', /does not map port 81/);
  assert.match(misfit({ ...group, TargetType: 'instance' }, use, definition) ?? '', /need ip/);
  assert.match(misfit({ ...group, LoadBalancerArns: [] }, use, definition) ?? '', /no load balancer/);
});

test('verify finds an alarm that does not exist, is active, or notifies nobody', () => {
  const calm = { StateValue: 'OK' as const, AlarmActions: ['topic'] };
  const loud = { ...calm, StateValue: 'ALARM' as const, StateReason: '1200 > 1000' };
  assert.equal(checkAlarm('depth', calm, false).state, 'good');
  assert.equal(checkAlarm('depth', undefined, false).state, 'bad');
  assert.deepEqual(
    [checkAlarm('depth', loud, false), checkAlarm('depth', loud, true)].map(({ state, why }) => [
      state,
      /1200 > 1000/.test(why ?? ''),
    ]),
    [
      ['warning', true],
      ['bad', true],
    ],
  );
  const silent = { StateValue: 'OK' as const, AlarmActions: [] };
  assert.equal(checkAlarm('depth', silent, false).state, 'warning');
  assert.equal(checkAlarm('depth', silent, true).state, 'good');
});

test('all keys of the secret that IDENTITY names are checked', () => {
  const text = JSON.stringify({ HOST: 'hunter2', PASSWORD: 'CHANGEME', PROXY: '' });
  assert.deepEqual(identityProblems(text), ['the key PASSWORD is a placeholder']);
  assert.deepEqual(identityProblems('hunter2'), ['it is not JSON']);
});

/** A configuration with something that needs each kind of right. */
const shop = (more: string) =>
  configOf(
    `
application: shop
stages:
  live: { account: '123456789012', region: eu-west-1, cluster: c, record: s3://bucket/x }
images: { web: { repository: web } }
services: { portal: { service: portal, suspendAutoScaling: true, containers: { app: { image: web } } } }
tasks: { before: [{ name: migrate, family: job }] }
${more}
`,
    'live',
    {},
    'the file',
  );

test('verify simulates each right by name, on the resources of the stage', () => {
  const config = shop('');
  const secret = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf';
  const definition = {
    ...{ executionRoleArn: 'arn:aws:iam::123456789012:role/execution', tags: [] },
    containerDefinitions: [
      {
        image: '123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1',
        secrets: [{ name: 'A', valueFrom: `${secret}:A::` }],
      },
    ],
  };
  const all = rightsOf(config, [definition], [trigger(target)]);
  const on = (action: string) => all.find(({ actions }) => actions.includes(action))?.on;
  assert.deepEqual(on('ecs:UpdateService'), ['arn:aws:ecs:eu-west-1:123456789012:service/c/portal']);
  assert.deepEqual(on('ecs:RunTask'), ['arn:aws:ecs:eu-west-1:123456789012:task-definition/job:*']);
  assert.deepEqual(on('events:PutTargets'), ['arn:aws:events:eu-west-1:123456789012:rule/nightly']);
  assert.deepEqual(on('iam:PassRole'), [definition.executionRoleArn, target.RoleArn]);
  assert.deepEqual(on('s3:PutObject'), ['arn:aws:s3:::bucket/x/*']);
  assert.deepEqual(on('application-autoscaling:RegisterScalableTarget'), ['*']);
  assert.equal(on('scheduler:UpdateSchedule'), undefined);
  const execution = rightsOfExecution(config.stage, [definition]).get(definition.executionRoleArn);
  assert.deepEqual(
    execution?.map(({ actions: [first], on: resources }) => [first, resources]),
    [
      ['secretsmanager:GetSecretValue', [secret]],
      ['ecr:BatchGetImage', ['arn:aws:ecr:eu-west-1:123456789012:repository/web']],
    ],
  );
});

test('the rights that the documents list are those that verify asks IAM about', () => {
  const config = shop(
    "scheduled: { nightly: { families: 'job-*', rule: nightly, schedule: rate(1 day), containers: {} } }",
  );
  const logConfiguration = { logDriver: 'awslogs' as const, options: { 'awslogs-group': '/ecs/shop' } };
  const definition = { tags: [], taskRoleArn: 'role', containerDefinitions: [{ logConfiguration }] };
  const triggers = [trigger(target), { ...trigger({ Target: target }), kind: 'schedule' as const }];
  const asked = rightsOf(config, [definition], triggers).flatMap(({ actions }) => actions);
  const page = readFileSync(join(import.meta.dirname, '../docs/release.md'), 'utf8');
  const [, table = ''] = /## Rights\n([\s\S]*)$/.exec(page) ?? [];
  let service = '';
  const listed = [...table.matchAll(/`(?:([a-z0-9-]+):)?([A-Z]\w+)`/g)].map(
    ([, prefix = service, action]) => {
      service = prefix;
      return `${service}:${action}`;
    },
  );
  assert.deepEqual([...new Set(asked)].toSorted(), listed.toSorted());
  // A configuration without any of that needs none of these rights.
  const { images: _, services: __, scheduled: ___, tasks: ____, ...bare } = config;
  const needed = rightsOf(bare, [], []).flatMap(({ actions }) => actions);
  for (const action of ['ecr:DescribeImages', 'ecs:UpdateService', 'iam:PassRole', 'ecs:RunTask'])
    assert.ok(!needed.includes(action), action);
});
