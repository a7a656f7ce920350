/** How scheduled tasks are changed: targets of EventBridge rules, and schedules of EventBridge Scheduler. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { moveRule, moveSchedule } from '../src/aws/triggers.ts';
import type { Trigger } from '../src/release/cloud.ts';
import { answered, NOWHERE } from './support/answered-client.ts';

const never = new AbortController().signal;
const EcsParameters = { TaskDefinitionArn: 'job:1', TaskCount: 1, LaunchType: 'FARGATE' };
const target = { Id: '1', Arn: 'arn:aws:ecs:r:1:cluster/shop', RoleArn: 'role', Input: '{}', EcsParameters };
const wanted = { taskDefinition: 'job:2', count: 3, schedule: 'cron(0 8 ? * MON-FRI *)' };

test('a schedule of EventBridge Scheduler gets its count and its time, and keeps everything else', async () => {
  const sent: object[] = [];
  const scheduler = answered(new SchedulerClient(NOWHERE), {
    UpdateSchedule: (input) => {
      sent.push(input);
      return {};
    },
  });
  const whole = {
    ...{ Name: 'sync', GroupName: 'hourly', ScheduleExpression: 'rate(1 hour)', State: 'DISABLED' },
    ...{ FlexibleTimeWindow: { Mode: 'OFF' }, StartDate: '2026-01-01T00:00:00.000Z', Target: target },
  };
  const trigger: Trigger = { kind: 'schedule', place: 'hourly', id: 'sync', whole, ...wanted };
  await moveSchedule(scheduler, trigger, never);
  const { count: _, schedule: __, ...same } = { ...trigger, taskDefinition: 'job:2' };
  await moveSchedule(scheduler, same, never);
  scheduler.destroy();
  const moved = { ...EcsParameters, TaskDefinitionArn: 'job:2' };
  const kept = { ...whole, StartDate: new Date(whole.StartDate) };
  assert.deepEqual(sent, [
    {
      ...{ ...kept, ScheduleExpression: wanted.schedule },
      Target: { ...target, EcsParameters: { ...moved, TaskCount: 3 } },
    },
    { ...kept, Target: { ...target, EcsParameters: moved } },
  ]);
});

test('all targets of a rule move in one call, and a target that EventBridge does not accept is an error', async () => {
  const sent: object[] = [];
  let failures: readonly object[] = [];
  const keep = (input: object) => void sent.push(input);
  const events = answered(new EventBridgeClient(NOWHERE), {
    PutRule: (input) => keep(input) ?? {},
    PutTargets: (input) => keep(input) ?? { FailedEntryCount: failures.length, FailedEntries: failures },
  });
  const rule = { Name: 'job', ScheduleExpression: 'rate(1 day)', State: 'ENABLED', Description: 'x' };
  const triggers: readonly Trigger[] = ['1', '2'].map((id) => ({
    ...{ kind: 'rule', place: 'job', id, rule, whole: { ...target, Id: id }, ...wanted },
  }));
  await moveRule(events, triggers, never);
  const moved = { ...EcsParameters, TaskDefinitionArn: 'job:2', TaskCount: 3 };
  assert.deepEqual(sent, [
    { ...rule, ScheduleExpression: wanted.schedule },
    { Rule: 'job', Targets: ['1', '2'].map((Id) => ({ ...target, Id, EcsParameters: moved })) },
  ]);
  failures = [{ TargetId: '2', ErrorCode: 'LimitExceeded', ErrorMessage: 'too many' }];
  await assert.rejects(
    moveRule(events, triggers, never),
    /did not accept all targets of job: 2: LimitExceeded/,
  );
  events.destroy();
});
