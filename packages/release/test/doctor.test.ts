/** The findings of `doctor` about errors, troubled services, and Docker. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '../src/release/cloud.ts';
import { judgeDocker } from '../src/verify/docker-limits.ts';
import { causesOf } from '../src/verify/known-errors.ts';
import { troublesOf } from '../src/verify/troubles.ts';

test('common errors are explained with their causes', () => {
  for (const [error, cause] of [
    [
      'denied: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:r:2:repository/web',
      /arn:aws:iam::1:user\/a\) belong to another account than the registry \(arn:aws:ecr:r:2:repository\/web[\s\S]*lacks ecr:InitiateLayerUpload/,
    ],
    ['User: u is not authorized to perform: ecs:UpdateService', /does not allow ecs:UpdateService/],
    ['Could not resolve entrypoint! Check that $application_type is set.', /"kind"/],
    ['An error occurred (DecryptionFailure) when calling GetSecretValue', /kms:Decrypt/],
    ['the secret is not in the expected dictionary form', /not one JSON object/],
    ['no basic auth credentials', /ecs-release login/],
    ['ResourceInitializationError: unable to pull secrets or registry auth', /secretsmanager:GetSecretValue/],
    ['CannotPullContainerError: manifest unknown', /lifecycle policy/],
    ['Ambiguous cluster setup (not proceeding)', /lists those that exist/],
    ['FATAL ERROR: Reached heap limit: JavaScript heap out of memory', /memory of Docker itself/],
    ['exec /usr/bin/app: exec format error', /another platform/],
    ['TargetNotConnectedException', /--force-new-deployment/],
    ['toomanyrequests: You have reached your pull rate limit', /"mirror"/],
    ['service web is unable to place a task: Capacity is unavailable', /Fargate Spot/],
    ['Task failed ELB health checks in (target-group x)', /grace period/],
  ] as const)
    assert.match(causesOf(error).join('\n'), cause, error);
  assert.deepEqual(causesOf('all is well'), []);
  assert.doesNotMatch(
    causesOf('not authorized on resource: arn:aws:ecr:r:2:repository/web').join(),
    /capacity/,
  );
});

test("the doctor reports a service's events since its last steady state, and why its tasks stopped", async () => {
  const events = [
    '(service web) (task 0123456789abcdef) failed container health checks.',
    '(service web) (task 9876543210abcdef) failed container health checks.',
    '(service web) has reached a steady state.',
    '(service web) was unable to place a task.',
  ].map((message, i) => ({ id: String(i), message }));
  const task = {
    ...{ arn: 'task/1', taskDefinition: 'web:2', lastStatus: 'STOPPED', startedBy: '', createdAt: 0 },
    ...{ stopCode: 'EssentialContainerExited', stoppedReason: 'Essential container in task exited' },
    containers: [{ name: 'app', exitCode: 137, reason: 'OutOfMemoryError: Container killed' }],
  };
  const scaledIn = { ...task, stopCode: 'ServiceSchedulerInitiated' };
  const cloud = {
    services: async () => [{ name: 'web', events } as unknown as Service],
    stoppedTasks: async () => [task, task, scaledIn],
  };
  const [health, memory, ...rest] = await troublesOf(cloud, ['web']);
  assert.match(health?.reason ?? '', /failed container health checks/);
  assert.match(memory?.reason ?? '', /a task stopped: .*app exited with code 137/);
  assert.match(memory?.causes.join() ?? '', /raise "memory"/);
  assert.deepEqual(rest, []);
});

test('the doctor reports a Docker Engine with less memory than a build requests', () => {
  const images = [{ repository: 'web', memory: '3072m' }];
  assert.equal(judgeDocker(2, 8 * 1024 ** 3, images).state, 'good');
  assert.match(judgeDocker(2, 2.5 * 1024 ** 3, images).why ?? '', /requests 3072 MiB/);
  assert.match(judgeDocker(2, 1024 ** 3, []).why ?? '', /may hang or be killed/);
});
