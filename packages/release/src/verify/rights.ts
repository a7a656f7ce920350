/**
 * Asks IAM whether the caller has the rights for a release on the resources of this stage, and whether execution roles
 * may read what their tasks need to start.
 */

import type { TaskDefinition } from '@aws-sdk/client-ecs';
import { type EvaluationResult, paginateSimulatePrincipalPolicy } from '@aws-sdk/client-iam';
import type { Clients } from '../aws/clients.ts';
import type { ReleaseConfig } from '../config/read.ts';
import { parseRegistry, registryOf } from '../config/registry.ts';
import { messageOf } from '../errors.ts';
import type { Trigger } from '../release/cloud.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';
import { referenceOf } from './images.ts';
import { partsOf } from './secrets.ts';

export interface Right {
  readonly actions: readonly string[];
  /** ARNs. A right on no resources is not needed. */
  readonly on: readonly string[];
  /** true: a policy of the resource itself may allow it as well, which IAM's simulation does not see. */
  readonly isShared?: true;
  /** The features that need these rights. A release works without them. */
  readonly for?: string;
}

const ALL = ['*'];

/** Lists the actions of a release of this configuration. */
export function rightsOf(
  { stage, services = {}, scheduled = {}, tasks = {}, images = {} }: ReleaseConfig,
  definitions: readonly TaskDefinition[],
  triggers: readonly Trigger[],
): readonly Right[] {
  const { account, region, cluster, record } = stage;
  const partition = partitionOf(region);
  const arn = (service: string, rest: string) => `arn:${partition}:${service}:${region}:${account}:${rest}`;
  const name = cluster.replace(/^.*\//, '');
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(record) ?? [];
  const rules = triggers
    .filter(({ kind }) => kind === 'rule')
    .map(({ place }) => arn('events', `rule/${place}`));
  const schedules = triggers.filter(({ kind }) => kind === 'schedule');
  const projects = Object.values(images).flatMap(({ remote }) => remote?.project ?? []);
  const one = [...(tasks.before ?? []), ...(tasks.after ?? [])];
  const all: readonly (Right | false)[] = [
    { actions: registering(definitions), on: ALL },
    {
      actions: ['ecs:DescribeServices', 'ecs:UpdateService'],
      on: Object.values(services).map(({ service }) => arn('ecs', `service/${name}/${service}`)),
    },
    { actions: ['ecs:DescribeTasks', 'ecs:StopTask'], on: [arn('ecs', `task/${name}/*`)] },
    {
      actions: ['ecs:RunTask'],
      on: one.map(({ family }) => arn('ecs', `task-definition/${family}:*`)),
    },
    { actions: ['iam:PassRole'], on: rolesOf(definitions, triggers) },
    {
      actions: ['logs:GetLogEvents'],
      on: logGroupsOf(definitions).map((group) => arn('logs', `log-group:${group}:*`)),
      for: 'the last lines of a container that failed, and the logs of tasks',
    },
    {
      actions: ['ecr:DescribeImages'],
      on: Object.values(images).map((image) => {
        const place = registryOf(stage, image);
        return `arn:${partition}:ecr:${place.region}:${place.account}:repository/${image.repository}`;
      }),
      isShared: true,
    },
    {
      actions: ['codebuild:StartBuild', 'codebuild:BatchGetBuilds', 'codebuild:StopBuild'],
      on: projects.map((project) => arn('codebuild', `project/${project}`)),
    },
    { actions: ['events:ListTargetsByRule', 'events:PutTargets'], on: rules },
    Object.values(scheduled).some(({ schedule }) => schedule !== undefined) && {
      actions: ['events:DescribeRule', 'events:PutRule'],
      on: rules,
    },
    Object.values(scheduled).some(({ scheduleGroup }) => scheduleGroup === undefined) && {
      actions: ['ecs:ListTaskDefinitionFamilies'],
      on: ALL,
    },
    schedules.length > 0 && { actions: ['scheduler:ListSchedules'], on: ALL },
    {
      actions: ['scheduler:GetSchedule', 'scheduler:UpdateSchedule'],
      on: schedules.map(({ place, id }) => arn('scheduler', `schedule/${place}/${id}`)),
    },
    Object.values(services).some(({ suspendAutoScaling }) => suspendAutoScaling === true) && {
      actions: [
        'application-autoscaling:DescribeScalableTargets',
        'application-autoscaling:RegisterScalableTarget',
      ],
      on: ALL,
    },
    bucket !== undefined && {
      actions: ['s3:GetObject', 's3:PutObject'],
      on: [`arn:${partition}:s3:::${bucket}/${prefix === '' ? '' : `${prefix}/`}*`],
      isShared: true,
    },
    bucket !== undefined && {
      actions: ['s3:ListBucket'],
      on: [`arn:${partition}:s3:::${bucket}`],
      isShared: true,
    },
  ];
  return all.filter((right) => right !== false).filter(({ on }) => on.length > 0);
}

function logGroupsOf(definitions: readonly TaskDefinition[]): readonly string[] {
  const containers = definitions.flatMap(({ containerDefinitions = [] }) => containerDefinitions);
  return containers.flatMap(({ logConfiguration: logs }) =>
    logs?.logDriver === 'awslogs' ? (logs.options?.['awslogs-group'] ?? []) : [],
  );
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

function registering(definitions: readonly TaskDefinition[]): readonly string[] {
  const isTagged = definitions.some((one) => 'tags' in one);
  return [
    'ecs:DescribeTaskDefinition',
    'ecs:RegisterTaskDefinition',
    'ecs:DeregisterTaskDefinition',
    'ecs:ListTaskDefinitions',
    'ecs:ListTasks',
    ...(isTagged ? ['ecs:TagResource'] : []),
  ];
}

function rolesOf(definitions: readonly TaskDefinition[], triggers: readonly Trigger[]): readonly string[] {
  const ofTasks = definitions.flatMap(({ executionRoleArn, taskRoleArn }) => [executionRoleArn, taskRoleArn]);
  const ofTriggers = triggers.map(({ whole }) => {
    const target = (whole.Target ?? whole) as { readonly RoleArn?: string };
    return target.RoleArn;
  });
  return [...new Set([...ofTasks, ...ofTriggers])].flatMap((role) => role || []);
}

/** Lists the resources that execution roles need, by role: secrets, images and logs. */
export function rightsOfExecution(
  stage: ReleaseConfig['stage'],
  definitions: readonly TaskDefinition[],
): ReadonlyMap<string, readonly Right[]> {
  const found = new Map<string, Right[]>();
  for (const { executionRoleArn: role, containerDefinitions = [] } of definitions) {
    if (role === undefined || role === '') continue;
    const sources = containerDefinitions.flatMap(({ secrets = [] }) =>
      secrets.map(({ valueFrom = '' }) => valueFrom),
    );
    const secrets = sources.flatMap((one) => partsOf(one)?.secret ?? []);
    const parameters = sources.filter((one) => one.includes(':ssm:'));
    const repositories = containerDefinitions.flatMap(({ image = '' }) => {
      const { host, repository } = referenceOf(image);
      const registry = parseRegistry(host, stage);
      return registry
        ? [
            `arn:${partitionOf(registry.region)}:ecr:${registry.region}:${registry.account}:repository/${repository}`,
          ]
        : [];
    });
    const rights: readonly Right[] = [
      { actions: ['secretsmanager:GetSecretValue'], on: secrets },
      { actions: ['ssm:GetParameters'], on: parameters },
      {
        actions: ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        on: repositories,
        isShared: true,
      },
    ];
    found.set(role, [...(found.get(role) ?? []), ...rights.filter(({ on }) => on.length > 0)]);
  }
  return found;
}

/** @param caller the ARN of a user, a role, or a session of a role */
export async function checkRights(
  clients: Clients,
  caller: string,
  rights: readonly Right[],
  cluster: string,
): Promise<readonly Check[]> {
  if (caller.endsWith(':root')) return [good('rights, of the whole account')];
  const [, partition, account, role] =
    /^arn:(aws[\w-]*):sts::(\d+):assumed-role\/([^/]+)\//.exec(caller) ?? [];
  const source = role === undefined ? caller : `arn:${partition}:iam::${account}:role/${role}`;
  return [await check(clients, source, rights, cluster, `rights of ${source.replace(/^.*:/, '')}`)];
}

export async function checkExecution(
  clients: Clients,
  rights: ReadonlyMap<string, readonly Right[]>,
  cluster: string,
): Promise<readonly Check[]> {
  return await Promise.all(
    [...rights].map(([role, some]) =>
      check(clients, role, some, cluster, `rights of the execution role ${role.replace(/^.*\//, '')}`),
    ),
  );
}

async function check(
  clients: Clients,
  PolicySourceArn: string,
  rights: readonly Right[],
  cluster: string,
  what: string,
): Promise<Check> {
  const [missing, unsure, lesser] = [new Set<string>(), new Set<string>(), new Set<string>()];
  try {
    const client = await clients.iam();
    for (const { actions, on, isShared, for: purpose } of rights) {
      const input = {
        PolicySourceArn,
        ActionNames: [...actions],
        ResourceArns: [...new Set(on)],
        ContextEntries: [
          { ContextKeyName: 'ecs:cluster', ContextKeyType: 'string' as const, ContextKeyValues: [cluster] },
        ],
      };
      for await (const { EvaluationResults = [] } of paginateSimulatePrincipalPolicy({ client }, input))
        for (const result of EvaluationResults) {
          if (result.EvalDecision === 'allowed') continue;
          const isSure = result.EvalDecision === 'explicitDeny' || !(isShared || hasConditions(result));
          if (purpose !== undefined) lesser.add(`${nameOf(result)}, for ${purpose}`);
          else (isSure ? missing : unsure).add(nameOf(result));
        }
    }
  } catch (error) {
    return unknown(what, messageOf(error));
  }
  if (missing.size > 0)
    return bad(what, `its policies do not allow ${[...missing].join(', ')}. Add them to a policy.`);
  if (unsure.size > 0)
    return unknown(
      what,
      `its own policies do not allow ${[...unsure].join(', ')}; conditions or the policies of the resources may.`,
    );
  if (lesser.size > 0)
    return warning(what, `its policies do not allow ${[...lesser].join('; ')}. A release works without.`);
  return good(what);
}

/** A condition on a value that IAM's simulation does not know makes an action look denied. */
function hasConditions({ MissingContextValues = [] }: EvaluationResult): boolean {
  return MissingContextValues.length > 0;
}

function nameOf({ EvalActionName = '', EvalResourceName = '*' }: EvaluationResult): string {
  return EvalResourceName === '*' ? EvalActionName : `${EvalActionName} on ${EvalResourceName}`;
}
