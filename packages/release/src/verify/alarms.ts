/**
 * Checks CloudWatch alarms: the ones that the stage names, and the ones with which ECS watches deployments. An active
 * alarm makes ECS roll back each deployment that it watches.
 */

import { DescribeAlarmsCommand, type MetricAlarm } from '@aws-sdk/client-cloudwatch';
import type { Clients } from '../aws/clients.ts';
import { describeServices } from '../aws/copies.ts';
import { inParts } from '../aws/task-reads.ts';
import { messageOf } from '../errors.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';

type Alarm = Pick<
  MetricAlarm,
  'AlarmName' | 'StateValue' | 'StateReason' | 'ActionsEnabled' | 'AlarmActions'
>;

/** DescribeAlarms accepts 100 names. */
const MOST = 100;

/**
 * @param expected names from the configuration
 * @param services the services' names in the cluster
 */
export async function checkAlarms(
  clients: Clients,
  cluster: string,
  expected: readonly string[],
  services: readonly string[],
): Promise<readonly Check[]> {
  try {
    const found = await describeServices(await clients.ecs(), cluster, services);
    const watching = [...found.values()].flatMap(({ deploymentConfiguration: one }) =>
      one?.alarms?.enable === true ? (one.alarms.alarmNames ?? []) : [],
    );
    const names = [...new Set([...expected, ...watching])];
    const there = await readAlarms(clients, names);
    return names.map((name) => checkAlarm(name, there.get(name), watching.includes(name)));
  } catch (error) {
    return [unknown('alarms', messageOf(error))];
  }
}

async function readAlarms(clients: Clients, names: readonly string[]): Promise<ReadonlyMap<string, Alarm>> {
  const all = new Map<string, Alarm>();
  for (const AlarmNames of inParts(names, MOST)) {
    const client = await clients.cloudwatch();
    const types = ['MetricAlarm', 'CompositeAlarm'] as const;
    const request = new DescribeAlarmsCommand({ AlarmNames, AlarmTypes: [...types], MaxRecords: MOST });
    const { MetricAlarms = [], CompositeAlarms = [] } = await client.send(request);
    for (const alarm of [...MetricAlarms, ...CompositeAlarms]) all.set(alarm.AlarmName ?? '', alarm);
  }
  return all;
}

/** @param isWatching true: ECS watches deployments with it, so it needs no actions of its own */
export function checkAlarm(name: string, alarm: Alarm | undefined, isWatching: boolean): Check {
  const what = `alarm ${name}`;
  if (!alarm)
    return bad(what, 'it does not exist. Create it, or remove it from the configuration or the service.');
  const { StateValue, StateReason = '', ActionsEnabled = true, AlarmActions = [] } = alarm;
  if (StateValue === 'ALARM' && isWatching)
    return bad(what, `it is active, so ECS rolls back every deployment that it watches: ${StateReason}`);
  if (StateValue === 'ALARM') return warning(what, `it is active: ${StateReason}`);
  if (!isWatching && (!ActionsEnabled || AlarmActions.length === 0))
    return warning(what, 'it notifies nobody. Add an action.');
  return good(what);
}
