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

test('a service is stable when its rollout is complete, and alone when no old tasks are left', () => {
  const done = deployment('ecs-svc/2', { rolloutState: 'COMPLETED', running: 2 });
  assert.partialDeepStrictEqual(judge(service(done, old), rollout, [], 2), { is: 'stable', isAlone: false });
  assert.partialDeepStrictEqual(judge(service(done), rollout, [], 2), { is: 'stable', isAlone: true });
});

test("a circuit breaker's rollback is a failure, though the service is healthy again", () => {
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

test("somebody else's deployment in the middle of a release is told as that", () => {
  const other = deployment('ecs-svc/9', { taskDefinition: 'arn:aws:ecs:r:1:task-definition/app:9' });
  const verdict = judge(service(other), { ...rollout, missed: 1 }, [], 2);
  assert.match(verdict.is === 'failed' ? verdict.reason : '', /runs app:9, which somebody else deployed/);
});

test('one look of a copy that is behind is no failure', () => {
  assert.equal(judge(service(old), rollout, [], 2).is, 'going on');
  assert.equal(judge(service(old), { ...rollout, missed: 1 }, [], 2).is, 'failed');
});

test('an image that cannot be pulled and a missing secret fail at once, other ends at the second task', () => {
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

test('tasks that Spot, a person or the scheduler stopped say nothing on the release', () => {
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

test('a lack of capacity is told and waited for, and an old event does not count', () => {
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

test('where ECS has no rollout state, a service is stable when its newest event says so', () => {
  const done = deployment('ecs-svc/2', { rolloutState: undefined, running: 2 });
  const event = (message: string) => ({ id: message, message });
  const going = { ...service(done), events: [event('(service portal) has started 2 tasks')] };
  assert.equal(judge(going, rollout, [], 2).is, 'going on');
  const steady = event('(service portal) has reached a steady state.');
  assert.equal(judge({ ...going, events: [steady, ...going.events] }, rollout, [], 2).is, 'stable');
  assert.equal(judge({ ...service(done, old), events: [steady] }, rollout, [], 2).is, 'going on');
});

test('on the way back stopped tasks are no failure: ECS decides', () => {
  const going = service(deployment('ecs-svc/2'), old);
  const pull = stopped({ stoppedReason: 'CannotPullContainerError: timeout' });
  assert.equal(judge(going, rollout, [pull, pull, pull], Number.POSITIVE_INFINITY).is, 'going on');
});

test('why a task stopped is told with its exit codes and what to do', () => {
  const text = whyStopped(
    stopped({ containers: [{ name: 'app', exitCode: 137, reason: 'OutOfMemoryError: killed' }] }),
  );
  assert.equal(
    text,
    'Essential container in task exited; app exited with code 137 (OutOfMemoryError: killed). The container needs more memory.',
  );
});
