/** Copies of services for temporary environments. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Service } from '@aws-sdk/client-ecs';
import { copiedDefinition, copiedService, removeCopy } from '../src/aws/copies.ts';
import { JsonAws } from './support/json-aws.ts';

const awsvpcConfiguration = { subnets: ['subnet-1'], securityGroups: ['sg-1'] };
const source: Service = {
  ...{ serviceName: 'app-staging', status: 'ACTIVE', desiredCount: 3, enableExecuteCommand: true },
  ...{ networkConfiguration: { awsvpcConfiguration }, healthCheckGracePeriodSeconds: 30 },
  capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }],
  loadBalancers: [{ targetGroupArn: 'of the original', containerName: 'proxy', containerPort: 80 }],
  serviceRegistries: [{ registryArn: 'of the original' }],
  tags: [
    { key: 'team', value: 'shop' },
    { key: 'aws:cloudformation:stack-name', value: 'x' },
  ],
};
const copy = { service: 'app-pr-12', family: 'app-pr-12', of: 'staging' };
const MARK = { key: 'ecs-release:copy-of', value: 'staging' };

test("a copy of a service keeps its network and settings, but gets no tasks and none of the original's traffic", () => {
  const request = copiedService(source, 'c', 'app-pr-12:1', copy);
  assert.deepEqual(request, {
    ...{ cluster: 'c', serviceName: 'app-pr-12', taskDefinition: 'app-pr-12:1', desiredCount: 0 },
    ...{ networkConfiguration: { awsvpcConfiguration }, enableECSManagedTags: false },
    ...{ capacityProviderStrategy: source.capacityProviderStrategy, enableExecuteCommand: true },
    tags: [{ key: 'team', value: 'shop' }, MARK],
  });
  const loadBalancer = { targetGroup: 'of the copy', container: 'proxy', port: 80 };
  const balanced = copiedService(source, 'c', 'app-pr-12:1', { ...copy, loadBalancer });
  assert.deepEqual(balanced.loadBalancers, [
    { targetGroupArn: 'of the copy', containerName: 'proxy', containerPort: 80 },
  ]);
  assert.equal(balanced.healthCheckGracePeriodSeconds, 30);
  const rendered = { family: 'app-staging', containerDefinitions: [], tags: [] };
  assert.deepEqual(copiedDefinition(rendered, copy), { ...rendered, family: 'app-pr-12', tags: [MARK] });
  assert.throws(
    () => copiedService({ ...source, schedulingStrategy: 'DAEMON' }, 'c', 'x:1', copy),
    /daemon service, which cannot be copied/,
  );
});

test('only a copy is removed, together with its own task definition revisions', async () => {
  await using aws = await JsonAws.start();
  aws.actions = {
    ListTaskDefinitions: ({ nextToken }) =>
      nextToken === undefined
        ? { taskDefinitionArns: ['app-pr-12:1'], nextToken: 'more' }
        : { taskDefinitionArns: ['app-pr-12:2'] },
    DescribeTaskDefinition: ({ taskDefinition }) => ({
      taskDefinition: {},
      tags: taskDefinition === 'app-pr-12:2' ? [MARK] : [],
    }),
  };
  await assert.rejects(removeCopy(aws.ecs, 'c', source), /app-staging was not made by "environment up"/);
  assert.deepEqual(aws.calls, []);
  const made = { ...source, serviceName: 'app-pr-12', taskDefinition: 'r/app-pr-12:2', tags: [MARK] };
  await removeCopy(aws.ecs, 'c', made);
  const changes = aws.calls.filter(({ action }) => /^De(lete|register)/.test(action));
  assert.deepEqual(changes, [
    { action: 'DeregisterTaskDefinition', body: { taskDefinition: 'app-pr-12:2' } },
    { action: 'DeleteService', body: { cluster: 'c', service: 'app-pr-12', force: true } },
  ]);
});
