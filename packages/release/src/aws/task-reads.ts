/** Reads task definitions, services and tasks from ECS. Each list is read to its last page. */

import {
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  type DesiredStatus,
  type ECSClient,
  type Service as EcsService,
  type Task as EcsTask,
  ListTaskDefinitionsCommand,
  ListTasksCommand,
  paginateListTaskDefinitionFamilies,
} from '@aws-sdk/client-ecs';
import { ReleaseError } from '../errors.ts';
import type { Service, Task } from '../release/cloud.ts';
import type { Live } from '../release/task-definition.ts';

/** DescribeServices accepts 10 names, and DescribeTasks accepts 100 ARNs. */
const SERVICES = 10;
const TASKS = 100;

export async function readTaskDefinition(ecs: ECSClient, name: string): Promise<Live> {
  const { taskDefinition, tags = [] } = await ecs.send(
    new DescribeTaskDefinitionCommand({ taskDefinition: name, include: ['TAGS'] }),
  );
  if (!taskDefinition) throw new ReleaseError('failed', `ECS has no task definition ${name}.`);
  return { definition: taskDefinition, tags };
}

export async function readFamilies(client: ECSClient, familyPrefix: string): Promise<readonly string[]> {
  const all: string[] = [];
  const request = { status: 'ACTIVE' as const, ...(familyPrefix !== '' && { familyPrefix }) };
  for await (const { families = [] } of paginateListTaskDefinitionFamilies({ client }, request))
    all.push(...families);
  return all;
}

/** One page is enough: the revisions of a release that failed are among the newest. */
export async function readNewestRevisions(ecs: ECSClient, familyPrefix: string): Promise<readonly string[]> {
  const { taskDefinitionArns = [] } = await ecs.send(
    new ListTaskDefinitionsCommand({ familyPrefix, status: 'ACTIVE', sort: 'DESC', maxResults: 20 }),
  );
  return taskDefinitionArns;
}

export async function readServices(
  ecs: ECSClient,
  cluster: string,
  names: readonly string[],
): Promise<readonly Service[]> {
  const answers = await Promise.all(
    inParts(names, SERVICES).map((services) => ecs.send(new DescribeServicesCommand({ cluster, services }))),
  );
  return answers.flatMap(({ services = [] }) => services.map(serviceOf));
}

function serviceOf(service: EcsService): Service {
  const { awsvpcConfiguration: vpc } = service.networkConfiguration ?? {};
  return {
    name: service.serviceName ?? '',
    status: service.status ?? '',
    taskDefinition: service.taskDefinition ?? '',
    desired: service.desiredCount ?? 0,
    running: service.runningCount ?? 0,
    deployments: (service.deployments ?? []).map((one) => ({
      id: one.id ?? '',
      status: one.status ?? '',
      taskDefinition: one.taskDefinition ?? '',
      rolloutState: one.rolloutState,
      reason: one.rolloutStateReason ?? '',
      desired: one.desiredCount ?? 0,
      running: one.runningCount ?? 0,
      failed: one.failedTasks ?? 0,
    })),
    events: (service.events ?? []).map(({ id = '', message = '' }) => ({ id, message })),
    ...(service.launchType && { launchType: service.launchType }),
    ...(service.platformVersion && { platformVersion: service.platformVersion }),
    ...((service.loadBalancers ?? []).length > 0 && { isBalanced: true as const }),
    controller: service.deploymentController?.type ?? 'ECS',
    network: vpc && {
      subnets: vpc.subnets ?? [],
      securityGroups: vpc.securityGroups ?? [],
      publicIp: vpc.assignPublicIp === 'ENABLED',
    },
    capacity: (service.capacityProviderStrategy ?? []).map(
      ({ capacityProvider = '', weight = 0, base = 0 }) => ({
        provider: capacityProvider,
        weight,
        base,
      }),
    ),
  };
}

export interface TaskFilter {
  readonly serviceName?: string;
  readonly startedBy?: string;
  readonly family?: string;
  readonly desiredStatus?: DesiredStatus;
}

export async function listTasks(
  ecs: ECSClient,
  cluster: string,
  filter: TaskFilter,
): Promise<readonly Task[]> {
  const arns: string[] = [];
  let nextToken: string | undefined;
  do {
    const page = await ecs.send(
      new ListTasksCommand({ cluster, ...filter, ...(nextToken && { nextToken }) }),
    );
    arns.push(...(page.taskArns ?? []));
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return await readTasks(ecs, cluster, arns);
}

export async function readTasks(
  ecs: ECSClient,
  cluster: string,
  arns: readonly string[],
): Promise<readonly Task[]> {
  const answers = await Promise.all(
    inParts(arns, TASKS).map((tasks) => ecs.send(new DescribeTasksCommand({ cluster, tasks }))),
  );
  return answers.flatMap(({ tasks = [] }) => tasks.map(taskOf));
}

function taskOf(task: EcsTask): Task {
  return {
    arn: task.taskArn ?? '',
    taskDefinition: task.taskDefinitionArn ?? '',
    lastStatus: task.lastStatus ?? '',
    stopCode: task.stopCode ?? '',
    stoppedReason: task.stoppedReason ?? '',
    startedBy: task.startedBy ?? '',
    createdAt: task.createdAt?.getTime() ?? 0,
    containers: (task.containers ?? []).map(({ name = '', exitCode, reason = '' }) => ({
      name,
      exitCode,
      reason,
    })),
  };
}

export function inParts<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}
