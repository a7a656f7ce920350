import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskDefinition } from '@aws-sdk/client-ecs';
import { stringify } from 'yaml';
import { configOf } from '../src/config/read.ts';
import { configurationOf } from '../src/config/write.ts';
import type { Service, Trigger } from '../src/release/cloud.ts';

const OWN = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const PLACE = { account: '123456789012', region: 'eu-west-1', cluster: 'shop', stage: 'live' };

const service = (name: string, isBalanced = false) =>
  ({ name, taskDefinition: `${name}:1`, ...(isBalanced && { isBalanced }) }) as Service;
const trigger = (kind: Trigger['kind'], place: string, id: string, taskDefinition: string): Trigger => ({
  ...{ kind, place, id, taskDefinition },
  whole: {},
});
const running = (...images: readonly string[]): TaskDefinition => ({
  containerDefinitions: images.map((image, i) => ({ name: `container-${i}`, image })),
});

test('a configuration generated from a cluster is valid and lists each service, image, rule and schedule once', () => {
  const found = {
    services: [service('portal', true), service('worker')],
    leftOut: [],
    scaling: new Map([['worker', { in: false, out: false, scheduled: false }]]),
    triggers: [
      trigger('rule', 'nightly', '1', 'nightly:3'),
      trigger('rule', 'hourly', '1', 'nightly:3'),
      trigger('rule', 'hourly', '2', 'nightly:3'),
      trigger('schedule', 'group', 'a', 'nightly:3'),
    ],
    definitions: new Map([
      ['portal:1', running(`${OWN}/a/web:1`, 'docker.io/library/nginx:1')],
      ['worker:1', running(`${OWN}/b/web@sha256:00`)],
      ['nightly:3', running(`210987654321.dkr.ecr.us-east-2.amazonaws.com/job:1`)],
    ]),
  };
  const made = configurationOf(found, PLACE);
  configOf(stringify(made), 'live', { commit: 'c0ffee' }, 'what was found');
  assert.deepEqual(made.images, {
    web: { repository: 'a/web', context: '.' },
    'b-web': { repository: 'b/web', context: '.' },
    job: { repository: 'job', registry: '210987654321.dkr.ecr.us-east-2.amazonaws.com', context: '.' },
  });
  assert.deepEqual(made.services, {
    portal: { service: 'portal', gate: true, containers: { 'container-0': { image: 'web' } } },
    worker: {
      service: 'worker',
      suspendAutoScaling: true,
      containers: { 'container-0': { image: 'b-web' } },
    },
  });
  const containers = { 'container-0': { image: 'job' } };
  assert.deepEqual(made.scheduled, {
    nightly: { families: 'nightly', containers },
    'nightly-hourly': { families: 'nightly', rule: 'hourly', containers },
    'nightly-group': { families: 'nightly', scheduleGroup: 'group', containers },
  });
});
