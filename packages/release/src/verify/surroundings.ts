/** Checks what task definitions and services depend on: roles, log groups, target groups, images and rights. */

import { DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { GetLifecyclePolicyCommand, LifecyclePolicyNotFoundException } from '@aws-sdk/client-ecr';
import { DescribeServicesCommand, type TaskDefinition } from '@aws-sdk/client-ecs';
import { DescribeTargetHealthCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { GetRoleCommand, NoSuchEntityException, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import type { Clients } from '../aws/clients.ts';
import { inParts } from '../aws/task-reads.ts';
import { messageOf } from '../errors.ts';
import { catalogueOf } from '../images/catalogue.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';
import { expiring } from './lifecycle.ts';

export async function checkRoles(
  clients: Clients,
  definitions: readonly TaskDefinition[],
): Promise<readonly Check[]> {
  const roles = new Set(
    definitions
      .flatMap(({ executionRoleArn, taskRoleArn }) => [executionRoleArn, taskRoleArn])
      .filter((one) => one !== undefined),
  );
  return await Promise.all(
    [...roles].map(async (role) => {
      const RoleName = role.replace(/^.*\//, '');
      try {
        const { Role } = await (await clients.iam()).send(new GetRoleCommand({ RoleName }));
        const trust = decodeURIComponent(Role?.AssumeRolePolicyDocument ?? '');
        if (trust.includes('ecs-tasks.amazonaws.com')) return good(`role ${RoleName}`);
        return bad(
          `role ${RoleName}`,
          'ecs-tasks.amazonaws.com may not assume it. Correct its trust policy.',
        );
      } catch (error) {
        if (error instanceof NoSuchEntityException) return bad(`role ${RoleName}`, 'it does not exist.');
        return unknown(`role ${RoleName}`, messageOf(error));
      }
    }),
  );
}

export async function checkLogGroups(
  clients: Clients,
  definitions: readonly TaskDefinition[],
): Promise<readonly Check[]> {
  const groups = new Set(
    definitions.flatMap(({ containerDefinitions = [] }) =>
      containerDefinitions.flatMap(({ logConfiguration: logs }) => {
        const makes = logs?.options?.['awslogs-create-group'] === 'true';
        return logs?.logDriver === 'awslogs' && !makes ? (logs.options?.['awslogs-group'] ?? []) : [];
      }),
    ),
  );
  return await Promise.all(
    [...groups].map(async (name) => {
      try {
        const { logGroups = [] } = await (await clients.logs()).send(
          new DescribeLogGroupsCommand({ logGroupNamePrefix: name }),
        );
        const found = logGroups.find(({ logGroupName }) => logGroupName === name);
        if (!found) return bad(`log group ${name}`, 'it does not exist, so no task can start. Make it.');
        if (found.retentionInDays === undefined)
          return warning(`log group ${name}`, 'it keeps its logs forever. Set a retention.');
        return good(`log group ${name}`);
      } catch (error) {
        return unknown(`log group ${name}`, messageOf(error));
      }
    }),
  );
}

/** @param names the services' names in the cluster */
export async function checkTargetGroups(
  clients: Clients,
  cluster: string,
  names: readonly string[],
): Promise<readonly Check[]> {
  const ecs = await clients.ecs();
  const answers = await Promise.all(
    inParts(names, 10).map((services) => ecs.send(new DescribeServicesCommand({ cluster, services }))),
  );
  const groups = answers.flatMap(({ services = [] }) =>
    services.flatMap(({ loadBalancers = [] }) =>
      loadBalancers.flatMap(({ targetGroupArn }) => targetGroupArn ?? []),
    ),
  );
  return await Promise.all(
    [...new Set(groups)].map(async (TargetGroupArn) => {
      const what = `target group ${TargetGroupArn.replace(/^.*targetgroup\//, '')}`;
      try {
        const { TargetHealthDescriptions: all = [] } = await (await clients.balancers()).send(
          new DescribeTargetHealthCommand({ TargetGroupArn }),
        );
        const sick = all.filter(({ TargetHealth }) => TargetHealth?.State === 'unhealthy');
        if (sick.length === 0) return good(what);
        const why = sick
          .map(({ TargetHealth }) => TargetHealth?.Description ?? TargetHealth?.Reason)
          .join('; ');
        return warning(what, `${sick.length} of ${all.length} targets are unhealthy: ${why}`);
      } catch (error) {
        return unknown(what, messageOf(error));
      }
    }),
  );
}

/** @param inUse digests, by repository */
export async function checkLifecycles(
  clients: Clients,
  inUse: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<readonly Check[]> {
  const ecr = await clients.ecr();
  return await Promise.all(
    [...inUse].map(async ([repositoryName, digests]) => {
      const what = `lifecycle of ${repositoryName}`;
      try {
        const { lifecyclePolicyText = '{}' } = await ecr.send(
          new GetLifecyclePolicyCommand({ repositoryName }),
        );
        const found = expiring(lifecyclePolicyText, await catalogueOf(ecr, repositoryName), digests);
        if (found.length === 0) return good(what);
        return bad(what, `${found.join('; ')}. Give images in use a tag that no rule selects.`);
      } catch (error) {
        return error instanceof LifecyclePolicyNotFoundException
          ? good(what)
          : unknown(what, messageOf(error));
      }
    }),
  );
}

/** The IAM actions that a release uses. */
export const RIGHTS: readonly string[] = [
  'ecs:DeregisterTaskDefinition',
  'ecs:DescribeServices',
  'ecs:DescribeTaskDefinition',
  'ecs:DescribeTasks',
  'ecs:ListTaskDefinitionFamilies',
  'ecs:ListTaskDefinitions',
  'ecs:ListTasks',
  'ecs:RegisterTaskDefinition',
  'ecs:RunTask',
  'ecs:StopTask',
  'ecs:UpdateService',
  'ecr:DescribeImages',
  'events:ListTargetsByRule',
  'events:PutTargets',
  'iam:PassRole',
  's3:GetObject',
  's3:ListBucket',
  's3:PutObject',
];

/** @param caller the ARN of a user, a role, or a session of a role */
export async function checkRights(clients: Clients, caller: string): Promise<readonly Check[]> {
  if (caller.endsWith(':root')) return [good('rights, of the whole account')];
  const [, account, role] = /^arn:aws[\w-]*:sts::(\d+):assumed-role\/([^/]+)\//.exec(caller) ?? [];
  const PolicySourceArn = role === undefined ? caller : `arn:aws:iam::${account}:role/${role}`;
  try {
    const { EvaluationResults = [] } = await (await clients.iam()).send(
      new SimulatePrincipalPolicyCommand({ PolicySourceArn, ActionNames: [...RIGHTS] }),
    );
    const missing = EvaluationResults.filter(({ EvalDecision }) => EvalDecision !== 'allowed');
    if (missing.length === 0) return [good('rights')];
    const names = missing.map(({ EvalActionName }) => EvalActionName).join(', ');
    const isDenied = missing.some(({ EvalDecision }) => EvalDecision === 'explicitDeny');
    // Policies should name their resources. Such a policy does not allow an action on all resources.
    return [
      isDenied
        ? bad('rights', `${PolicySourceArn} may not do ${names}, as far as its policies say.`)
        : unknown('rights', `${PolicySourceArn} may do ${names} on named resources only, or not at all.`),
    ];
  } catch (error) {
    return [unknown('rights', messageOf(error))];
  }
}
