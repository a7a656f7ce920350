/**
 * Reads and updates the triggers of scheduled tasks: targets of EventBridge rules, and schedules of EventBridge
 * Scheduler.
 */

import {
  DescribeRuleCommand,
  type EventBridgeClient,
  ListTargetsByRuleCommand,
  PutRuleCommand,
  PutTargetsCommand,
  ResourceNotFoundException,
  type Target,
} from '@aws-sdk/client-eventbridge';
import {
  GetScheduleCommand,
  ListSchedulesCommand,
  type SchedulerClient,
  UpdateScheduleCommand,
  type UpdateScheduleCommandInput,
} from '@aws-sdk/client-scheduler';
import { ReleaseError } from '../errors.ts';
import type { Trigger } from '../release/cloud.ts';
import { inParts } from './task-reads.ts';

/** @param withRule true: read the rule itself too */
export async function readRule(
  events: EventBridgeClient,
  rule: string,
  withRule = false,
): Promise<readonly Trigger[]> {
  const all: Trigger[] = [];
  let NextToken: string | undefined;
  do {
    const page = await events
      .send(new ListTargetsByRuleCommand({ Rule: rule, ...(NextToken && { NextToken }) }))
      .catch((error: unknown) => {
        if (error instanceof ResourceNotFoundException) return { Targets: [], NextToken: undefined };
        throw error;
      });
    for (const target of page.Targets ?? []) {
      const taskDefinition = target.EcsParameters?.TaskDefinitionArn;
      if (taskDefinition !== undefined)
        all.push({ kind: 'rule', place: rule, id: target.Id ?? '', taskDefinition, whole: { ...target } });
    }
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  if (!withRule || all.length === 0) return all;
  const whole = await ruleOf(events, rule);
  return all.map((one) => ({ ...one, rule: whole }));
}

/** Reads a rule, as far as PutRule takes it. PutRule replaces a rule as a whole. */
async function ruleOf(events: EventBridgeClient, Name: string): Promise<Record<string, unknown>> {
  const { ScheduleExpression, EventPattern, State, Description, RoleArn, EventBusName } = await events.send(
    new DescribeRuleCommand({ Name }),
  );
  const all = { Name, ScheduleExpression, EventPattern, State, Description, RoleArn, EventBusName };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** One call is enough: a rule has at most five targets, and PutTargets accepts ten. */
export async function moveRule(
  events: EventBridgeClient,
  triggers: readonly Trigger[],
  abortSignal: AbortSignal,
): Promise<void> {
  const [{ place: Rule }] = triggers as [Trigger];
  const Targets = triggers.map(({ whole, taskDefinition, count }) => {
    const target = whole as unknown as Target;
    return { ...target, EcsParameters: parametersOf(target.EcsParameters, taskDefinition, count) };
  });
  const [changed] = triggers.filter(({ rule }) => rule !== undefined);
  if (changed) {
    const { rule, schedule } = changed;
    const expression = schedule !== undefined && { ScheduleExpression: schedule };
    await events.send(new PutRuleCommand({ ...rule, Name: Rule, ...expression }), { abortSignal });
  }
  const { FailedEntryCount = 0, FailedEntries = [] } = await events.send(
    new PutTargetsCommand({ Rule, Targets }),
    {
      abortSignal,
    },
  );
  if (FailedEntryCount === 0) return;
  const why = FailedEntries.map(
    ({ TargetId, ErrorCode, ErrorMessage }) => `${TargetId}: ${ErrorCode} ${ErrorMessage}`,
  );
  throw new ReleaseError('failed', `EventBridge did not accept all targets of ${Rule}: ${why.join('; ')}`);
}

export async function readGroup(scheduler: SchedulerClient, group: string): Promise<readonly Trigger[]> {
  const names: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await scheduler.send(
      new ListSchedulesCommand({ GroupName: group, ...(NextToken && { NextToken }) }),
    );
    names.push(...(page.Schedules ?? []).map(({ Name = '' }) => Name));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  const all: Trigger[] = [];
  // EventBridge Scheduler allows few calls per second, and its API reads one schedule per call.
  for (const part of inParts(names, 10)) {
    const read = await Promise.all(
      part.map((Name) => scheduler.send(new GetScheduleCommand({ GroupName: group, Name }))),
    );
    for (const { $metadata: _, Arn: __, CreationDate: ___, LastModificationDate: ____, ...whole } of read) {
      const taskDefinition = whole.Target?.EcsParameters?.TaskDefinitionArn;
      if (taskDefinition !== undefined)
        all.push({
          kind: 'schedule',
          place: group,
          id: whole.Name ?? '',
          taskDefinition,
          whole: { ...whole },
        });
    }
  }
  return all;
}

export async function moveSchedule(
  scheduler: SchedulerClient,
  { whole, taskDefinition, count, schedule: expression }: Trigger,
  abortSignal: AbortSignal,
): Promise<void> {
  const schedule = withDates(whole) as unknown as UpdateScheduleCommandInput;
  const { Target: target } = schedule;
  const input = {
    ...schedule,
    ...(expression !== undefined && { ScheduleExpression: expression }),
    Target: { ...target, EcsParameters: parametersOf(target?.EcsParameters, taskDefinition, count) },
  } as UpdateScheduleCommandInput;
  await scheduler.send(new UpdateScheduleCommand(input), { abortSignal });
}

function parametersOf<T extends object>(
  before: T | undefined,
  TaskDefinitionArn: string,
  count: number | undefined,
) {
  return { ...before, TaskDefinitionArn, ...(count !== undefined && { TaskCount: count }) };
}

/** Restores the dates of a schedule. A record is stored as JSON, which has no date type. */
function withDates(whole: Trigger['whole']): Trigger['whole'] {
  const { StartDate, EndDate, ...rest } = whole;
  const date = (one: unknown) => new Date(one as string | Date);
  return {
    ...rest,
    ...(StartDate !== undefined && { StartDate: date(StartDate) }),
    ...(EndDate !== undefined && { EndDate: date(EndDate) }),
  };
}
