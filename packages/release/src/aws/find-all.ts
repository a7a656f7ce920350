/** Finds everything in a cluster that a release could cover: services, and the triggers of scheduled tasks. */

import { paginateListServices, type TaskDefinition } from '@aws-sdk/client-ecs';
import { ListRulesCommand } from '@aws-sdk/client-eventbridge';
import { paginateListScheduleGroups } from '@aws-sdk/client-scheduler';
import { messageOf } from '../errors.ts';
import type { Service, Suspension, Trigger } from '../release/cloud.ts';
import type { Clients } from './clients.ts';
import { readScaling } from './scaling.ts';
import { inParts, readServices, readTaskDefinition } from './task-reads.ts';
import { readGroup, readRule } from './triggers.ts';

export interface Found {
  readonly services: readonly Service[];
  readonly scaling: ReadonlyMap<string, Suspension>;
  readonly triggers: readonly Trigger[];
  /** By the ARN or family that a service or a trigger names. */
  readonly definitions: ReadonlyMap<string, TaskDefinition>;
  /** Descriptions of what could not be read, with the reasons. */
  readonly leftOut: readonly string[];
}

/** The number of concurrent requests. EventBridge and ECS allow few of these calls per second. */
const AT_ONCE = 10;

export async function findIn(clients: Clients, cluster: string): Promise<Found> {
  const leftOut: string[] = [];
  const orNone = async <T>(what: string, none: T, read: () => Promise<T>): Promise<T> =>
    await read().catch((error: unknown) => {
      leftOut.push(`${what} (${messageOf(error)})`);
      return none;
    });
  const [services, rules, schedules] = await Promise.all([
    servicesIn(clients, cluster),
    orNone('rules of EventBridge', [], () => rulesIn(clients)),
    orNone('schedules of EventBridge Scheduler', [], () => schedulesIn(clients)),
  ]);
  const triggers = [...rules, ...schedules].filter((one) => lastOf(clusterOf(one)) === lastOf(cluster));
  const names = services.map(({ name }) => name);
  const none: ReadonlyMap<string, Suspension> = new Map();
  const scaling = await orNone('automatic scaling', none, async () =>
    names.length > 0 ? await readScaling(await clients.scaling(), cluster, names) : none,
  );
  const ecs = await clients.ecs();
  const wanted = [...new Set([...services, ...triggers].map(({ taskDefinition }) => taskDefinition))];
  const live = await inTurns(wanted, (name) => readTaskDefinition(ecs, name));
  const definitions = new Map(wanted.map((name, i) => [name, live[i]?.definition ?? {}]));
  return { services, scaling, triggers, definitions, leftOut };
}

async function servicesIn(clients: Clients, cluster: string): Promise<readonly Service[]> {
  const client = await clients.ecs();
  const names: string[] = [];
  for await (const { serviceArns = [] } of paginateListServices({ client }, { cluster }))
    names.push(...serviceArns.map(lastOf));
  return await readServices(client, cluster, names.sort());
}

/** Rules that an AWS service manages are left out, because nobody else may change them. */
async function rulesIn(clients: Clients): Promise<readonly Trigger[]> {
  const events = await clients.events();
  const names: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await events.send(new ListRulesCommand({ ...(NextToken && { NextToken }) }));
    const own = (page.Rules ?? []).filter(({ ManagedBy }) => ManagedBy === undefined);
    names.push(...own.map(({ Name = '' }) => Name));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return (await inTurns(names.sort(), (name) => readRule(events, name))).flat();
}

async function schedulesIn(clients: Clients): Promise<readonly Trigger[]> {
  const client = await clients.scheduler();
  const all: Trigger[] = [];
  for await (const { ScheduleGroups = [] } of paginateListScheduleGroups({ client }, {}))
    for (const { Name = '' } of ScheduleGroups) all.push(...(await readGroup(client, Name)));
  return all;
}

async function inTurns<T, R>(all: readonly T[], make: (one: T) => Promise<R>): Promise<R[]> {
  const made: R[] = [];
  for (const part of inParts(all, AT_ONCE)) made.push(...(await Promise.all(part.map(make))));
  return made;
}

function clusterOf({ kind, whole }: Trigger): string {
  const target = (kind === 'rule' ? whole : whole.Target) as { readonly Arn?: string } | undefined;
  return target?.Arn ?? '';
}

function lastOf(arn: string): string {
  return arn.replace(/^.*\//, '');
}
