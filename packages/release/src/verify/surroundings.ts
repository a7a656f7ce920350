/** Checks the cluster, and the roles and log groups that task definitions and triggers depend on. */

import { DescribeLogGroupsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { DescribeClustersCommand, paginateListClusters, type TaskDefinition } from '@aws-sdk/client-ecs';
import { GetRoleCommand, NoSuchEntityException } from '@aws-sdk/client-iam';
import type { Clients } from '../aws/clients.ts';
import { messageOf } from '../errors.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

/** Clusters to name when the stage's cluster does not exist. */
const MOST_NAMED = 10;

export async function checkCluster(clients: Clients, cluster: string): Promise<Check> {
  const what = `cluster ${cluster}`;
  try {
    const ecs = await clients.ecs();
    const { clusters = [] } = await ecs.send(new DescribeClustersCommand({ clusters: [cluster] }));
    if (clusters[0]?.status === 'ACTIVE') return good(what);
    const names: string[] = [];
    for await (const { clusterArns = [] } of paginateListClusters({ client: ecs }, {}))
      names.push(...clusterArns.map((arn) => arn.replace(/^.*\//, '')));
    const known = names.slice(0, MOST_NAMED).join(', ') || 'none';
    return bad(what, `it does not exist in this account and region. These exist: ${known}.`);
  } catch (error) {
    return unknown(what, messageOf(error));
  }
}

/** @param ofTriggers roles with which triggers start tasks, by the service that assumes them */
export async function checkRoles(
  clients: Clients,
  definitions: readonly TaskDefinition[],
  ofTriggers: readonly (readonly [string, string])[],
): Promise<readonly Check[]> {
  const ofTasks = definitions
    .flatMap(({ executionRoleArn, taskRoleArn }) => [executionRoleArn, taskRoleArn])
    .flatMap((one) => one || [])
    .map((role) => [role, 'ecs-tasks.amazonaws.com'] as const);
  const roles = new Map([...ofTasks, ...ofTriggers].map((one) => [one.join(' '), one]));
  return await Promise.all(
    [...roles.values()].map(async ([role, principal]) => {
      const RoleName = role.replace(/^.*\//, '');
      try {
        const { Role } = await (await clients.iam()).send(new GetRoleCommand({ RoleName }));
        const trust = decodeURIComponent(Role?.AssumeRolePolicyDocument ?? '');
        if (trust.includes(principal)) return good(`role ${RoleName}`);
        return bad(`role ${RoleName}`, `${principal} may not assume it. Correct its trust policy.`);
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
        if (!found) return bad(`log group ${name}`, 'it does not exist, so no task can start. Create it.');
        if (found.retentionInDays === undefined)
          return warning(`log group ${name}`, 'it keeps its logs forever. Set a retention.');
        return good(`log group ${name}`);
      } catch (error) {
        return unknown(`log group ${name}`, messageOf(error));
      }
    }),
  );
}
