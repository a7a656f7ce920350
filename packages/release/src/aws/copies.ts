/**
 * Makes and removes copies of services for temporary environments. A copy has a mark, and only things with the mark are
 * removed.
 */

import {
  CreateServiceCommand,
  type CreateServiceCommandInput,
  DeleteServiceCommand,
  DeregisterTaskDefinitionCommand,
  DescribeServicesCommand,
  type ECSClient,
  paginateListServices,
  paginateListTaskDefinitions,
  type RegisterTaskDefinitionCommandInput,
  type Service,
  type Tag,
} from '@aws-sdk/client-ecs';
import type { StageConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import { inParts, readTaskDefinition } from './task-reads.ts';

export type LoadBalancerConfig = NonNullable<NonNullable<StageConfig['copyOf']>['loadBalancers']>[string];

const MARK = 'ecs-release:copy-of';

export interface Copy {
  readonly service: string;
  readonly family: string;
  /** The stage whose service is copied. */
  readonly of: string;
  readonly loadBalancer?: LoadBalancerConfig;
}

/** @returns the services that exist and are not deleted, by name */
export async function describeServices(
  ecs: ECSClient,
  cluster: string,
  names: readonly string[],
): Promise<ReadonlyMap<string, Service>> {
  const answers = await Promise.all(
    inParts(names, 10).map((services) =>
      ecs.send(new DescribeServicesCommand({ cluster, services, include: ['TAGS'] })),
    ),
  );
  const active = answers.flatMap(({ services = [] }) => services.filter(({ status }) => status === 'ACTIVE'));
  return new Map(active.map((one) => [one.serviceName ?? '', one]));
}

/** Puts another family and the mark into a task definition. */
export function copiedDefinition(
  rendered: RegisterTaskDefinitionCommandInput,
  { family, of }: Copy,
): RegisterTaskDefinitionCommandInput {
  return { ...rendered, family, tags: marked(rendered.tags, of) };
}

/**
 * Makes the request for a copy without tasks. It gets neither the load balancer nor the names of the original in service
 * discovery, because requests for the original would reach it.
 * @throws ReleaseError usage when such a service cannot be copied
 */
export function copiedService(
  source: Service,
  cluster: string,
  taskDefinition: string,
  { service, of, loadBalancer }: Copy,
): CreateServiceCommandInput {
  if (source.schedulingStrategy === 'DAEMON')
    throw new ReleaseError('usage', `${source.serviceName} is a daemon service, which cannot be copied.`);
  const {
    capacityProviderStrategy: capacity = [],
    launchType,
    platformVersion,
    networkConfiguration,
  } = source;
  const { healthCheckGracePeriodSeconds: grace, deploymentConfiguration, propagateTags } = source;
  return {
    ...{ cluster, serviceName: service, taskDefinition, desiredCount: 0 },
    ...(capacity.length > 0 ? { capacityProviderStrategy: capacity } : launchType && { launchType }),
    ...(platformVersion && { platformVersion }),
    ...(networkConfiguration?.awsvpcConfiguration && { networkConfiguration }),
    ...(deploymentConfiguration && { deploymentConfiguration }),
    ...(loadBalancer && {
      loadBalancers: [
        {
          targetGroupArn: loadBalancer.targetGroup,
          containerName: loadBalancer.container,
          containerPort: Number(loadBalancer.port),
        },
      ],
      ...(grace !== undefined && { healthCheckGracePeriodSeconds: grace }),
    }),
    ...{ enableExecuteCommand: source.enableExecuteCommand ?? false },
    ...{ enableECSManagedTags: source.enableECSManagedTags ?? false },
    ...(propagateTags !== undefined && propagateTags !== 'NONE' && { propagateTags }),
    tags: marked(source.tags, of),
  };
}

export async function createService(ecs: ECSClient, input: CreateServiceCommandInput): Promise<void> {
  await ecs.send(new CreateServiceCommand(input));
}

/**
 * Deletes a copy with its tasks, and deregisters the revisions of its family that have the mark.
 * @throws ReleaseError usage when the service is no copy
 */
export async function removeCopy(ecs: ECSClient, cluster: string, found: Service): Promise<void> {
  assertCopy(found);
  const { serviceName: service = '', taskDefinition = '' } = found;
  const familyPrefix = taskDefinition.replace(/^.*\//, '').replace(/:\d+$/, '');
  const arns: string[] = [];
  for await (const { taskDefinitionArns = [] } of paginateListTaskDefinitions(
    { client: ecs },
    { familyPrefix },
  ))
    arns.push(...taskDefinitionArns);
  for (const arn of arns) {
    const { tags } = await readTaskDefinition(ecs, arn);
    if (originalOf(tags) !== undefined)
      await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: arn }));
  }
  // The service goes last, so that a removal that failed can be repeated.
  await ecs.send(new DeleteServiceCommand({ cluster, service, force: true }));
}

/** @throws ReleaseError usage when the service is no copy */
export function assertCopy({ serviceName, tags }: Service): void {
  if (originalOf(tags) !== undefined) return;
  throw new ReleaseError(
    'usage',
    `The service ${serviceName} was not made by "environment up", so "environment down" does not remove it.`,
  );
}

/** @returns all copies in the cluster, with the stages that they are copies of */
export async function listCopies(ecs: ECSClient, cluster: string) {
  const names: string[] = [];
  for await (const { serviceArns = [] } of paginateListServices({ client: ecs }, { cluster }))
    names.push(...serviceArns.map((arn) => arn.replace(/^.*\//, '')));
  const services = await describeServices(ecs, cluster, names.sort());
  return [...services.values()].flatMap((one) => {
    const of = originalOf(one.tags);
    if (of === undefined) return [];
    const { serviceName: service = '', runningCount: running = 0, desiredCount: desired = 0 } = one;
    return [{ service, of, running, desired, createdAt: one.createdAt?.toISOString() ?? '' }];
  });
}

function originalOf(tags: readonly Tag[] = []): string | undefined {
  return tags.find(({ key }) => key === MARK)?.value;
}

/** Tags of AWS itself cannot be set. */
function marked(tags: readonly Tag[] = [], of: string): Tag[] {
  const kept = tags.filter(({ key = '' }) => key !== MARK && !key.startsWith('aws:'));
  return [...kept, { key: MARK, value: of }];
}
