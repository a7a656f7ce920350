/** Settings of scheduled tasks besides their task definitions: how many tasks are started, and when. Pure. */

import { isDeepStrictEqual } from 'node:util';
import type { Trigger } from './cloud.ts';

/** A setting that a release does not touch is absent. */
export interface TriggerSettings {
  readonly count?: number;
  readonly schedule?: string;
}

/** Returns the present settings. The schedule of a rule is known only if the rule was read. */
export function settingsOf({ kind, whole, rule }: Trigger): TriggerSettings {
  const { EcsParameters: ecs } = (kind === 'rule' ? whole : (whole.Target ?? {})) as {
    readonly EcsParameters?: { readonly TaskCount?: number };
  };
  const schedule = (kind === 'rule' ? rule : whole)?.ScheduleExpression as string | undefined;
  return { count: ecs?.TaskCount ?? 1, ...(schedule !== undefined && { schedule }) };
}

/** @returns the present values of the settings that `wanted` names */
export function present(trigger: Trigger, { count, schedule }: TriggerSettings): TriggerSettings {
  const now = settingsOf(trigger);
  return {
    ...(count !== undefined && now.count !== undefined && { count: now.count }),
    ...(schedule !== undefined && now.schedule !== undefined && { schedule: now.schedule }),
  };
}

export function isSameTrigger(
  one: TriggerSettings & { readonly taskDefinition: string },
  other: TriggerSettings & { readonly taskDefinition: string },
): boolean {
  const { taskDefinition, count, schedule } = one;
  return taskDefinition === other.taskDefinition && count === other.count && schedule === other.schedule;
}

/** Whether AWS still has the trigger unchanged. */
export function isAsIs(trigger: Trigger, now: Trigger): boolean {
  const { count: _, schedule: __, ...rest } = trigger;
  const { count: ___, schedule: ____, rule, ...live } = now;
  return isDeepStrictEqual(rest, { ...live, ...(trigger.rule && { rule }) });
}
