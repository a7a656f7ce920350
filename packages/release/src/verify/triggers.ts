/**
 * Checks the triggers of scheduled tasks: rules of EventBridge, their targets, and schedules of EventBridge Scheduler.
 */

import { DescribeRuleCommand, type Target } from '@aws-sdk/client-eventbridge';
import type { GetScheduleCommandOutput } from '@aws-sdk/client-scheduler';
import type { Clients } from '../aws/clients.ts';
import { messageOf } from '../errors.ts';
import type { Trigger } from '../release/cloud.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

export async function checkTriggers(
  clients: Clients,
  cluster: string,
  triggers: readonly Trigger[],
): Promise<readonly Check[]> {
  return await Promise.all(
    triggers.map(async (trigger) => {
      const what = nameOf(trigger);
      try {
        return checkTrigger(trigger, await isDisabled(clients, trigger), cluster);
      } catch (error) {
        return unknown(what, messageOf(error));
      }
    }),
  );
}

async function isDisabled(clients: Clients, { kind, place, whole }: Trigger): Promise<boolean> {
  if (kind === 'schedule') return whole.State === 'DISABLED';
  const rule = await (await clients.events()).send(new DescribeRuleCommand({ Name: place }));
  return rule.State === 'DISABLED';
}

export function checkTrigger(trigger: Trigger, isOff: boolean, cluster: string): Check {
  const what = nameOf(trigger);
  const target = targetOf(trigger);
  const { Arn = '', RoleArn, EcsParameters: ecs } = target;
  if (lastOf(Arn) !== lastOf(cluster))
    return bad(
      what,
      `it starts tasks in the cluster ${lastOf(Arn)}. Correct its target, or remove it from the configuration.`,
    );
  if (RoleArn === undefined)
    return bad(what, 'its target has no role for starting tasks. Set the role of the target.');
  if (ecs?.LaunchType === 'FARGATE' && !ecs.NetworkConfiguration)
    return bad(what, 'its target starts tasks on Fargate without a network. Set subnets of the target.');
  return isOff ? warning(what, 'it is disabled, so it starts nothing.') : good(what);
}

/** Returns the roles with which triggers start tasks, by the service that assumes them. */
export function rolesOfTriggers(triggers: readonly Trigger[]): readonly (readonly [string, string])[] {
  return triggers.flatMap((trigger) => {
    const { RoleArn } = targetOf(trigger);
    const principal = trigger.kind === 'rule' ? 'events.amazonaws.com' : 'scheduler.amazonaws.com';
    return RoleArn === undefined ? [] : [[RoleArn, principal] as const];
  });
}

function targetOf({ kind, whole }: Trigger): Partial<Target> {
  if (kind === 'rule') return whole as Partial<Target>;
  return ((whole as Partial<GetScheduleCommandOutput>).Target ?? {}) as Partial<Target>;
}

function nameOf({ kind, place, id }: Trigger): string {
  return kind === 'rule' ? `rule ${place}, target ${id}` : `schedule ${place}/${id}`;
}

function lastOf(arn: string): string {
  return arn.replace(/^.*\//, '');
}
