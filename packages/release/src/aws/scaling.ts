/** Reads and changes which kinds of automatic scaling are suspended for services. */

import {
  type ApplicationAutoScalingClient,
  paginateDescribeScalableTargets,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling';
import type { Suspension } from '../release/cloud.ts';
import { inParts } from './task-reads.ts';

const COUNT = { ServiceNamespace: 'ecs', ScalableDimension: 'ecs:service:DesiredCount' } as const;
/** DescribeScalableTargets accepts 50 ids. */
const MOST = 50;

export async function readScaling(
  client: ApplicationAutoScalingClient,
  cluster: string,
  services: readonly string[],
): Promise<ReadonlyMap<string, Suspension>> {
  const found = new Map<string, Suspension>();
  for (const part of inParts(services, MOST)) {
    const input = { ...COUNT, ResourceIds: part.map((one) => idOf(cluster, one)) };
    for await (const { ScalableTargets = [] } of paginateDescribeScalableTargets({ client }, input))
      for (const { ResourceId = '', SuspendedState: state = {} } of ScalableTargets)
        found.set(ResourceId.replace(/^.*\//, ''), {
          in: state.DynamicScalingInSuspended ?? false,
          out: state.DynamicScalingOutSuspended ?? false,
          scheduled: state.ScheduledScalingSuspended ?? false,
        });
  }
  return found;
}

export async function setScaling(
  client: ApplicationAutoScalingClient,
  cluster: string,
  service: string,
  suspended: Suspension,
  abortSignal: AbortSignal,
): Promise<void> {
  const command = new RegisterScalableTargetCommand({
    ...{ ...COUNT, ResourceId: idOf(cluster, service) },
    SuspendedState: {
      DynamicScalingInSuspended: suspended.in,
      DynamicScalingOutSuspended: suspended.out,
      ScheduledScalingSuspended: suspended.scheduled,
    },
  });
  await client.send(command, { abortSignal });
}

function idOf(cluster: string, service: string): string {
  return `service/${cluster.replace(/^.*\//, '')}/${service}`;
}
