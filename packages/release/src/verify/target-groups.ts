/** Checks the target groups of services: each must exist, have a load balancer, and fit the task definitions. */

import { DescribeServicesCommand, type LoadBalancer, type TaskDefinition } from '@aws-sdk/client-ecs';
import {
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type ElasticLoadBalancingV2Client,
  type TargetGroup,
  TargetGroupNotFoundException,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Clients } from '../aws/clients.ts';
import { inParts } from '../aws/task-reads.ts';
import { messageOf } from '../errors.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

/** @param definitions the task definitions that run after the release, by the service's name in the cluster */
export async function checkTargetGroups(
  clients: Clients,
  cluster: string,
  definitions: ReadonlyMap<string, TaskDefinition>,
): Promise<readonly Check[]> {
  const ecs = await clients.ecs();
  const parts = inParts([...definitions.keys()], 10);
  const answers = await Promise.all(
    parts.map((services) => ecs.send(new DescribeServicesCommand({ cluster, services }))),
  );
  const uses = answers.flatMap(({ services = [] }) =>
    services.flatMap(({ serviceName = '', loadBalancers = [] }) =>
      loadBalancers.map((one) => ({ one, definition: definitions.get(serviceName) ?? {} })),
    ),
  );
  return await Promise.all(
    uses.map(async ({ one, definition }) => {
      const TargetGroupArn = one.targetGroupArn ?? '';
      const what = `target group ${TargetGroupArn.replace(/^.*targetgroup\//, '') || one.loadBalancerName}`;
      if (TargetGroupArn === '') return unknown(what, 'a Classic Load Balancer is not checked.');
      try {
        const balancers = await clients.balancers();
        const request = new DescribeTargetGroupsCommand({ TargetGroupArns: [TargetGroupArn] });
        const { TargetGroups: [group = {}] = [] } = await balancers.send(request);
        const why = misfit(group, one, definition);
        return why === undefined ? await checkHealth(balancers, what, group) : bad(what, why);
      } catch (error) {
        return error instanceof TargetGroupNotFoundException
          ? bad(what, 'it does not exist, so the service cannot register its tasks. Create it again.')
          : unknown(what, messageOf(error));
      }
    }),
  );
}

/** @returns why this group cannot send requests to tasks of this definition */
export function misfit(
  { LoadBalancerArns = [], TargetType = 'instance' }: TargetGroup,
  { containerName = '', containerPort }: LoadBalancer,
  { containerDefinitions = [], networkMode }: TaskDefinition,
): string | undefined {
  const container = containerDefinitions.find(({ name }) => name === containerName);
  if (!container) return `the task definition has no container ${containerName}, to which it sends requests.`;
  if (!container.portMappings?.some((one) => one.containerPort === containerPort))
    return `the container ${containerName} does not map port ${containerPort}, to which it sends requests.`;
  if (networkMode === 'awsvpc' && TargetType !== 'ip')
    return `its targets have the type ${TargetType}, but tasks with the network mode awsvpc need ip.`;
  if (LoadBalancerArns.length === 0)
    return 'no load balancer uses it, so ECS refuses new tasks. Add it to a listener.';
  return undefined;
}

async function checkHealth(
  balancers: ElasticLoadBalancingV2Client,
  what: string,
  { TargetGroupArn, Matcher }: TargetGroup,
): Promise<Check> {
  const request = new DescribeTargetHealthCommand({ TargetGroupArn });
  const { TargetHealthDescriptions: all = [] } = await balancers.send(request);
  const sick = all.filter(({ TargetHealth }) => TargetHealth?.State === 'unhealthy');
  const reasons = sick.map(({ TargetHealth }) => TargetHealth?.Description ?? TargetHealth?.Reason);
  if (sick.length > 0)
    return warning(what, `${sick.length} of ${all.length} targets are unhealthy: ${reasons.join('; ')}`);
  const code = Matcher?.HttpCode ?? '';
  if (/^3\d\d$/.test(code))
    return warning(
      what,
      `its health check accepts only ${code}, a redirect that a proxy may return even if the program behind it is dead. Check a path that the program answers with 200.`,
    );
  return good(what);
}
