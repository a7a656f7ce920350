/** What `verify` reads of the surroundings of a stage, and what it makes of the answers. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { CodeBuildClient } from '@aws-sdk/client-codebuild';
import { ECRClient } from '@aws-sdk/client-ecr';
import type { TaskDefinition } from '@aws-sdk/client-ecs';
import {
  ElasticLoadBalancingV2Client,
  TargetGroupNotFoundException,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { IAMClient, NoSuchEntityException } from '@aws-sdk/client-iam';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { Clients } from '../src/aws/clients.ts';
import { configOf } from '../src/config/read.ts';
import { checkAlarms } from '../src/verify/alarms.ts';
import type { Check } from '../src/verify/check.ts';
import { checkProjects } from '../src/verify/images.ts';
import { checkLifecycles } from '../src/verify/lifecycle.ts';
import { checkRights } from '../src/verify/rights.ts';
import { checkSecrets } from '../src/verify/secrets.ts';
import { checkCluster, checkLogGroups, checkRoles } from '../src/verify/surroundings.ts';
import { checkTargetGroups } from '../src/verify/target-groups.ts';
import { answered, NOWHERE } from './support/answered-client.ts';
import { type Body, JsonAws } from './support/json-aws.ts';

type Actions = JsonAws['actions'];
const METADATA = { $metadata: {}, message: 'as the test wants' };

/** ECS, ECR and the other services that speak JSON, and further clients that are answered. */
async function world(t: TestContext, actions: Actions, others: object = {}): Promise<Clients> {
  const aws = await JsonAws.start();
  aws.actions = actions;
  const clients = {
    ecs: aws.ecs,
    logs: aws.logs,
    ecr: new ECRClient(aws.settings),
    ssm: new SSMClient(aws.settings),
    codebuild: new CodeBuildClient(aws.settings),
    ...others,
  };
  t.after(async () => {
    for (const client of Object.values(clients)) (client as { destroy(): void }).destroy();
    await aws[Symbol.asyncDispose]();
  });
  const made = Object.entries(clients).map(([name, client]) => [name, async () => client]);
  return Object.fromEntries(made) as unknown as Clients;
}

const statesOf = (checks: readonly Check[]) => checks.map(({ what, state }) => `${what}: ${state}`);

test('verify lists the clusters that exist if that of the stage does not', async (t) => {
  const pages = [['arn:aws:ecs:r:1:cluster/one'], ['arn:aws:ecs:r:1:cluster/two']];
  const clients = await world(t, {
    DescribeClusters: ({ clusters }) => ({
      clusters: [{ status: String(clusters) === 'one' ? 'ACTIVE' : 'INACTIVE' }],
    }),
    ListClusters: ({ nextToken }) =>
      nextToken === undefined ? { clusterArns: pages[0], nextToken: 'more' } : { clusterArns: pages[1] },
  });
  assert.equal((await checkCluster(clients, 'one')).state, 'good');
  const { state, why = '' } = await checkCluster(clients, 'onw');
  assert.equal(state, 'bad');
  assert.match(why, /These exist: one, two\./);
});

test('verify finds a log group that is missing, and one without a retention', async (t) => {
  const clients = await world(t, {
    DescribeLogGroups: () => ({
      logGroups: [{ logGroupName: 'kept', retentionInDays: 30 }, { logGroupName: 'forever' }],
    }),
  });
  const logged = (group: string, more = {}) => ({
    logConfiguration: { logDriver: 'awslogs' as const, options: { 'awslogs-group': group, ...more } },
  });
  const containerDefinitions = [
    ...['kept', 'forever', 'gone'].map((group) => logged(group)),
    logged('later', { 'awslogs-create-group': 'true' }),
  ];
  assert.deepEqual(statesOf(await checkLogGroups(clients, [{ containerDefinitions }])), [
    ...['log group kept: good', 'log group forever: warning', 'log group gone: bad'],
  ]);
});

test('verify finds a role that is missing, and one that ECS may not assume', async (t) => {
  const iam = answered(new IAMClient(NOWHERE), {
    GetRole: ({ RoleName }) => {
      if (RoleName === 'gone') throw new NoSuchEntityException(METADATA);
      const Service = RoleName === 'lambda' ? 'lambda.amazonaws.com' : 'ecs-tasks.amazonaws.com';
      return { Role: { AssumeRolePolicyDocument: encodeURIComponent(JSON.stringify({ Service })) } };
    },
  });
  const clients = await world(t, {}, { iam });
  const role = (name: string) => `arn:aws:iam::1:role/${name}`;
  const definitions = [
    { executionRoleArn: role('execution'), taskRoleArn: role('lambda') },
    { taskRoleArn: role('gone') },
  ];
  assert.deepEqual(statesOf(await checkRoles(clients, definitions, [])), [
    ...['role execution: good', 'role lambda: bad', 'role gone: bad'],
  ]);
});

test('verify reports missing rights by name, and tells those that a release needs from the others', async (t) => {
  const asked: unknown[] = [];
  const allow = (EvalActionName: string, EvalDecision: string, more = {}) => ({
    ...{ EvalActionName, EvalDecision, EvalResourceName: 'arn:x', ...more },
  });
  const decisions = new Map<string, object>();
  const iam = answered(new IAMClient(NOWHERE), {
    SimulatePrincipalPolicy: ({ PolicySourceArn, ActionNames, Marker }) => {
      asked.push(PolicySourceArn);
      const names = ActionNames as readonly string[];
      const shown = Marker === undefined ? names.slice(0, 1) : names.slice(1);
      return {
        EvaluationResults: shown.map((name) => decisions.get(name) ?? allow(name, 'allowed')),
        IsTruncated: Marker === undefined,
        ...(Marker === undefined && { Marker: 'more' }),
      };
    },
  });
  const clients = await world(t, {}, { iam });
  const rights = [
    { actions: ['ecs:DescribeServices', 'ecs:UpdateService'], on: ['arn:x'] },
    { actions: ['s3:PutObject'], on: ['arn:x'], isShared: true as const },
    { actions: ['logs:GetLogEvents'], on: ['arn:x'], for: 'logs' },
  ];
  const caller = 'arn:aws:sts::1:assumed-role/deploy/ci';
  const check = async () => (await checkRights(clients, caller, rights, 'shop'))[0];
  assert.deepEqual(await check(), { what: 'rights of role/deploy', state: 'good' });
  assert.deepEqual(new Set(asked), new Set(['arn:aws:iam::1:role/deploy']));
  decisions.set('logs:GetLogEvents', allow('logs:GetLogEvents', 'implicitDeny'));
  assert.partialDeepStrictEqual(await check(), {
    state: 'warning',
    why: 'its policies do not allow logs:GetLogEvents on arn:x, for logs. A release works without.',
  });
  decisions.set('s3:PutObject', allow('s3:PutObject', 'implicitDeny'));
  assert.partialDeepStrictEqual(await check(), { state: 'unknown' });
  // It is on the second page.
  decisions.set('ecs:UpdateService', allow('ecs:UpdateService', 'implicitDeny'));
  assert.partialDeepStrictEqual(await check(), {
    state: 'bad',
    why: 'its policies do not allow ecs:UpdateService on arn:x. Add them to a policy.',
  });
});

test('verify finds a target group that is missing, has unhealthy targets, or accepts only redirects', async (t) => {
  const balancers = answered(new ElasticLoadBalancingV2Client(NOWHERE), {
    DescribeTargetGroups: ({ TargetGroupArns }) => {
      const [arn = ''] = TargetGroupArns as readonly string[];
      if (arn.includes('gone')) throw new TargetGroupNotFoundException(METADATA);
      const HttpCode = arn.includes('redirect') ? '301' : '200';
      const group = { TargetGroupArn: arn, TargetType: 'ip', LoadBalancerArns: ['lb'] };
      return { TargetGroups: [{ ...group, Matcher: { HttpCode } }] };
    },
    DescribeTargetHealth: ({ TargetGroupArn }) => {
      const State = String(TargetGroupArn).includes('sick') ? 'unhealthy' : 'healthy';
      return { TargetHealthDescriptions: [{ TargetHealth: { State, Description: 'it timed out' } }] };
    },
  });
  const groups = ['well', 'gone', 'sick', 'redirect'];
  const clients = await world(
    t,
    {
      DescribeServices: () => ({
        services: groups.map((name) => ({
          serviceName: name,
          loadBalancers: [
            { targetGroupArn: `arn:x:targetgroup/${name}/1`, containerName: 'app', containerPort: 80 },
          ],
        })),
      }),
    },
    { balancers },
  );
  const definition: TaskDefinition = {
    networkMode: 'awsvpc',
    containerDefinitions: [{ name: 'app', portMappings: [{ containerPort: 80 }] }],
  };
  const definitions = new Map(groups.map((name) => [name, definition]));
  const checks = await checkTargetGroups(clients, 'shop', definitions);
  assert.deepEqual(
    checks.map(({ state }) => state),
    ['good', 'bad', 'warning', 'warning'],
  );
  assert.match(checks[2]?.why ?? '', /1 of 1 targets are unhealthy: it timed out/);
  assert.match(checks[3]?.why ?? '', /accepts only 301/);
});

test('verify finds a parameter and a CodeBuild project that do not exist', async (t) => {
  const clients = await world(t, {
    GetParameters: () => ({ InvalidParameters: ['/shop/GONE'] }),
    BatchGetProjects: () => ({ projectsNotFound: ['gone'] }),
  });
  const secrets = ['/shop/KEY', '/shop/GONE'].map((name) => ({ name, valueFrom: name }));
  assert.deepEqual(statesOf(await checkSecrets(clients, [{ containerDefinitions: [{ secrets }] }])), [
    ...['parameter /shop/KEY: good', 'parameter /shop/GONE: bad'],
  ]);
  const config = configOf(
    `
application: shop
stages: { live: { account: '123456789012', region: us-east-1, cluster: shop, record: memory } }
images: { a: { repository: a, remote: { project: there } }, b: { repository: b, remote: { project: gone } } }
`,
    'live',
    {},
    'test',
  );
  assert.deepEqual(statesOf(await checkProjects(clients, config)), [
    ...['CodeBuild project there: good', 'CodeBuild project gone: bad'],
  ]);
});

test('verify compares the lifecycle policy of each repository with the images that run or will run', async (t) => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const selection = { tagStatus: 'any', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 5 };
  const expires = ({ repositoryName }: Body) => repositoryName === 'web';
  const clients = await world(t, {
    GetLifecyclePolicy: (body) => ({
      lifecyclePolicyText: JSON.stringify({ rules: expires(body) ? [{ rulePriority: 1, selection }] : [] }),
    }),
    DescribeImages: ({ nextToken }) =>
      nextToken === undefined
        ? { imageDetails: [{ imageDigest: 'sha256:b', imagePushedAt: 0 }], nextToken: 'more' }
        : { imageDetails: [{ imageDigest: digest, imagePushedAt: 0 }] },
  });
  const stage = { account: '123456789012', region: 'us-east-1', cluster: 'shop', record: 'memory' };
  const host = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
  const containerDefinitions = [
    ...['web', 'job'].map((name) => ({ image: `${host}/${name}@${digest}` })),
    { image: 'docker.io/library/nginx:1' },
  ];
  const checks = await checkLifecycles(clients, stage, [{ containerDefinitions }]);
  assert.deepEqual(statesOf(checks), ['lifecycle of web: bad', 'lifecycle of job: good']);
  assert.match(checks[0]?.why ?? '', /rule 1 removes sha256:aaaaaaaaaaaa 5 days after it was pushed/);
});

test('verify reads the alarms of the stage and those that watch deployments', async (t) => {
  const cloudwatch = answered(new CloudWatchClient(NOWHERE), {
    DescribeAlarms: () => ({
      MetricAlarms: [{ AlarmName: 'depth', StateValue: 'OK', AlarmActions: ['topic'] }],
      CompositeAlarms: [{ AlarmName: 'errors', StateValue: 'ALARM', StateReason: '5 > 1' }],
    }),
  });
  const alarms = { enable: true, alarmNames: ['errors'] };
  const service = { serviceName: 'portal', status: 'ACTIVE', deploymentConfiguration: { alarms } };
  const clients = await world(t, { DescribeServices: () => ({ services: [service] }) }, { cloudwatch });
  assert.deepEqual(statesOf(await checkAlarms(clients, 'shop', ['depth', 'gone'], ['portal'])), [
    ...['alarm depth: good', 'alarm gone: bad', 'alarm errors: bad'],
  ]);
});
