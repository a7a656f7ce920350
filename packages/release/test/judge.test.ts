import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment, Service, Task } from '../src/release/cloud.ts';
import { judge, type Rollout, whyStopped } from '../src/release/judge.ts';

const deployment = (id: string, more: Partial<Deployment> = {}): Deployment => ({
  id,
  status: 'PRIMARY',
  taskDefinition: 'arn:td/app:2',
  rolloutState: 'IN_PROGRESS',
  reason: '',
  desired: 2,
  running: 0,
  failed: 0,
  ...more,
});
const service = (...deployments: readonly Deployment[]): Service => ({
  name: 'portal',
  status: 'ACTIVE',
  taskDefinition: deployments[0]?.taskDefinition ?? '',
  desired: 2,
  running: 0,
  deployments,
  events: [],
  network: undefined,
  capacity: [],
  controller: 'ECS',
});
const rollout: Rollout = {
  service: 'portal',
  taskDefinition: 'arn:td/app:2',
  deployment: 'ecs-svc/2',
  knownEvents: new Set(['old']),
  wasSeen: true,
  missed: 0,
};
const stopped = (more: Partial<Task> = {}): Task => ({
  arn: 'arn:task',
  taskDefinition: 'arn:td/app:2',
  lastStatus: 'STOPPED',
  stopCode: 'EssentialContainerExited',
  stoppedReason: 'Essential container in task exited',
  startedBy: 'ecs-svc/2',
  createdAt: 1,
  containers: [{ name: 'app', exitCode: 3, reason: '' }],
  ...more,
});
const old = deployment('ecs-svc/1', {
  status: 'ACTIVE',
  taskDefinition: 'arn:td/app:1',
  rolloutState: 'COMPLETED',
  running: 2,
});

test('a service is stable when its rollout is complete, even while old tasks still drain', () => {
  const done = deployment('ecs-svc/2', { rolloutState: 'COMPLETED', running: 2 });
  assert.partialDeepStrictEqual(judge(service(done, old), rollout, [], 2), { is: 'stable', isAlone: false });
  assert.partialDeepStrictEqual(judge(service(done), rollout, [], 2), { is: 'stable', isAlone: true });
});

test('a rollback by the circuit breaker is a failure, although the service is healthy again', () => {
  const back = deployment('ecs-svc/3', {
    taskDefinition: 'arn:td/app:1',
    rolloutState: 'COMPLETED',
    running: 2,
    reason: 'ECS deployment circuit breaker: rolling back',
  });
  const verdict = judge(service(back), { ...rollout, missed: 1 }, [stopped()], 2);
  assert.equal(verdict.is, 'failed');
  assert.match(
    verdict.is === 'failed' ? verdict.reason : '',
    /ECS stopped the deployment of portal .*app exited with code 3/,
  );
});

test('if somebody else deploys during a release, the error says so', () => {
  const other = deployment('ecs-svc/9', { taskDefinition: 'arn:aws:ecs:r:1:task-definition/app:9' });
  const verdict = judge(service(other), { ...rollout, missed: 1 }, [], 2);
  assert.match(verdict.is === 'failed' ? verdict.reason : '', /runs app:9, which somebody else deployed/);
});

test('a single stale read does not fail a release', () => {
  assert.equal(judge(service(old), rollout, [], 2).is, 'going on');
  assert.equal(judge(service(old), { ...rollout, missed: 1 }, [], 2).is, 'failed');
});

test('a missing image or secret fails a release at the first stopped task, any other cause at the second', () => {
  const going = service(deployment('ecs-svc/2'), old);
  const pull = stopped({
    stopCode: 'TaskFailedToStart',
    stoppedReason: 'CannotPullContainerError: not found',
  });
  assert.equal(judge(going, rollout, [pull], 2).is, 'failed');
  const secret = stopped({
    stopCode: 'TaskFailedToStart',
    stoppedReason: 'ResourceInitializationError: unable to pull secrets',
  });
  const verdict = judge(going, rollout, [secret], 2);
  assert.match(verdict.is === 'failed' ? verdict.reason : '', /A secret is missing/);
  assert.equal(judge(going, rollout, [stopped()], 2).is, 'going on');
  assert.equal(judge(going, rollout, [stopped(), stopped({ createdAt: 2 })], 2).is, 'failed');
});

test('tasks that Spot, a person or the scheduler stopped do not fail a release', () => {
  const going = service(deployment('ecs-svc/2'), old);
  const others = [
    stopped({ stopCode: 'SpotInterruption', stoppedReason: 'Your Spot Task was interrupted.' }),
    stopped({ stopCode: 'UserInitiated', stoppedReason: 'Stopped by a person' }),
    stopped({
      stopCode: 'ServiceSchedulerInitiated',
      stoppedReason: 'Scaling activity initiated by deployment',
    }),
    stopped({ startedBy: 'ecs-svc/1' }),
  ];
  assert.equal(judge(going, rollout, others, 1).is, 'going on');
});

test('a release reports a lack of capacity and waits, and ignores events from before it began', () => {
  const event = {
    id: 'new',
    message:
      '(service portal) was unable to place a task because no container instance met all of its requirements',
  };
  const going = service(deployment('ecs-svc/2'), old);
  const verdict = judge({ ...going, events: [event] }, rollout, [], 2);
  assert.match(verdict.is === 'going on' ? (verdict.lack ?? '') : '', /unable to place a task/);
  const before = judge({ ...going, events: [{ ...event, id: 'old' }] }, rollout, [], 2);
  assert.ok(before.is === 'going on' && before.lack === undefined);
});

test('if ECS reports no rollout state, the newest event decides whether a service is stable', () => {
  const done = deployment('ecs-svc/2', { rolloutState: undefined, running: 2 });
  const event = (message: string) => ({ id: message, message });
  const going = { ...service(done), events: [event('(service portal) has started 2 tasks')] };
  assert.equal(judge(going, rollout, [], 2).is, 'going on');
  const steady = event('(service portal) has reached a steady state.');
  assert.equal(judge({ ...going, events: [steady, ...going.events] }, rollout, [], 2).is, 'stable');
  assert.equal(judge({ ...service(done, old), events: [steady] }, rollout, [], 2).is, 'going on');
});

test('stopped tasks do not fail a rollback', () => {
  const going = service(deployment('ecs-svc/2'), old);
  const pull = stopped({ stoppedReason: 'CannotPullContainerError: timeout' });
  assert.equal(judge(going, rollout, [pull, pull, pull], Number.POSITIVE_INFINITY).is, 'going on');
});

test('the reason why a task stopped names its exit codes and what to do', () => {
  const text = whyStopped(
    stopped({ containers: [{ name: 'app', exitCode: 137, reason: 'OutOfMemoryError: killed' }] }),
  );
  assert.equal(
    text,
    'Essential container in task exited; app exited with code 137 (OutOfMemoryError: killed). The container needs more memory.',
  );
});
