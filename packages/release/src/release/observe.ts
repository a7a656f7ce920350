/** Observes a stage: its services, their task definitions, and its scheduled tasks. It changes nothing. */

import type { ReleaseConfig } from '../config/read.ts';
import type { ScheduledConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import { type Cloud, familyOf, type Service, type Suspension, type Trigger } from './cloud.ts';
import type { Live } from './task-definition.ts';

export interface Observed {
  /** By the service's name in the cluster. */
  readonly services: ReadonlyMap<string, Service>;
  /** By the ARN or family that was requested. */
  readonly definitions: ReadonlyMap<string, Live>;
  /** By the name in the configuration. */
  readonly triggers: ReadonlyMap<string, readonly Trigger[]>;
  /** Automatic scaling of the services for which the release suspends it, by the service's name in the cluster. */
  readonly scaling: ReadonlyMap<string, Suspension>;
}

/** @param withRules true: read the rules themselves too, which have the schedules */
export async function observe(cloud: Cloud, config: ReleaseConfig, withRules = false): Promise<Observed> {
  const wanted = Object.values(config.services ?? {}).map(({ service }) => service);
  const scheduled = Object.entries(config.scheduled ?? {});
  const suspending = Object.values(config.services ?? {})
    .filter(({ suspendAutoScaling }) => suspendAutoScaling === true)
    .map(({ service }) => service);
  const [services, scaling, lists] = await Promise.all([
    wanted.length > 0 ? cloud.services(wanted) : [],
    suspending.length > 0 ? cloud.scaling(suspending) : new Map<string, Suspension>(),
    Promise.all(
      scheduled.map(([name, one]) => triggersOf(cloud, name, one, withRules || one.schedule !== undefined)),
    ),
  ]);
  const triggers = new Map(scheduled.map(([name], i) => [name, lists[i] ?? []]));
  const { before = [], after = [] } = config.tasks ?? {};
  const names = new Set([
    ...services.map(({ taskDefinition }) => taskDefinition),
    ...[...triggers.values()].flat().map(({ taskDefinition }) => taskDefinition),
  ]);
  const known = new Set([...names].map(familyOf));
  for (const { family, containers, kind } of [...before, ...after])
    if (!known.has(family) || containers !== undefined || kind !== undefined) names.add(family);
  const definitions = await Promise.all([...names].map((name) => cloud.taskDefinition(name)));
  return {
    services: new Map(services.map((one) => [one.name, one])),
    definitions: new Map([...names].map((name, i) => [name, definitions[i] as Live])),
    triggers,
    scaling,
  };
}

async function triggersOf(
  cloud: Cloud,
  name: string,
  { families: pattern, rule = '{family}', scheduleGroup }: ScheduledConfig,
  withRule: boolean,
): Promise<readonly Trigger[]> {
  const matches = patternOf(pattern);
  if (scheduleGroup !== undefined) {
    const all = await cloud.triggersOfGroup(scheduleGroup);
    const fitting = all.filter(({ taskDefinition }) => matches.test(familyOf(taskDefinition)));
    if (fitting.length > 0) return fitting;
    throw missing(name, `the Scheduler group ${scheduleGroup} has no schedule for ${pattern}`);
  }
  const families = (await cloud.families(pattern.split('*', 1)[0] ?? '')).filter((one) => matches.test(one));
  if (families.length === 0) throw missing(name, `no family matches ${pattern}`);
  const lists = await Promise.all(
    families.map((family) => cloud.triggersOfRule(rule.replaceAll('{family}', family), withRule)),
  );
  return families.flatMap((family, i) => {
    const own = (lists[i] ?? []).filter(({ taskDefinition }) => familyOf(taskDefinition) === family);
    if (own.length > 0) return own;
    throw missing(name, `the rule ${rule.replaceAll('{family}', family)} has no target for ${family}`);
  });
}

function missing(name: string, why: string): ReleaseError {
  return new ReleaseError('usage', `No scheduled task matches ${name}: ${why}. Correct "scheduled.${name}".`);
}

/** Makes a regular expression from a pattern, in which * stands for any characters. */
export function patternOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}
