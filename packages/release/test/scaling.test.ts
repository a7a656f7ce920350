import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { readScaling, setScaling } from '../src/aws/scaling.ts';
import { JsonAws } from './support/json-aws.ts';

test('suspended scaling is read for many services and changed for one, even if an ARN names the cluster', async () => {
  await using aws = await JsonAws.start();
  const names = Array.from({ length: 60 }, (_, i) => `service-${i}`);
  const SuspendedState = { DynamicScalingInSuspended: true };
  aws.actions = {
    DescribeScalableTargets: ({ ResourceIds, NextToken }) => ({
      ScalableTargets: (ResourceIds as string[])
        .slice(NextToken === undefined ? 0 : 30, NextToken === undefined ? 30 : 60)
        .map((ResourceId) => ({ ResourceId, ...(ResourceId.endsWith('-59') && { SuspendedState }) })),
      ...(NextToken === undefined && (ResourceIds as string[]).length > 30 && { NextToken: 'more' }),
    }),
  };
  const client = new ApplicationAutoScalingClient(aws.settings);
  const cluster = 'arn:aws:ecs:us-east-1:1:cluster/shop';
  const found = await readScaling(client, cluster, names);
  assert.equal(found.size, 60);
  assert.deepEqual(found.get('service-0'), { in: false, out: false, scheduled: false });
  assert.deepEqual(found.get('service-59'), { in: true, out: false, scheduled: false });
  const wanted = { in: false, out: true, scheduled: false };
  await setScaling(client, cluster, 'service-1', wanted, new AbortController().signal);
  client.destroy();
  const body = aws.calls.at(-1)?.body;
  assert.equal(body?.ResourceId, 'service/shop/service-1');
  assert.deepEqual(body?.SuspendedState, {
    ...{ DynamicScalingInSuspended: false, DynamicScalingOutSuspended: true },
    ScheduledScalingSuspended: false,
  });
});
