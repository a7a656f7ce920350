/** One-off tasks, with a simulated ECS and CloudWatch Logs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { awsCloud } from '../src/aws/aws-cloud.ts';
import type { Clients } from '../src/aws/clients.ts';
import { placementOf } from '../src/release/cloud.ts';
import { type OneOff, runOneOff } from '../src/release/one-off.ts';
import { chosenContainer } from '../src/release/placement.ts';
import { UNLOCKED } from '../src/release/work.ts';
import { JsonAws, Refusal } from './support/json-aws.ts';
import { hurriedClock, LogStore } from './support/log-store.ts';

const STREAM = 'ecs/app/1';
const containerDefinitions = [
  { name: 'sidecar', essential: false },
  {
    name: 'app',
    essential: true,
    logConfiguration: {
      logDriver: 'awslogs' as const,
      options: { 'awslogs-group': '/ecs/app', 'awslogs-stream-prefix': 'ecs' },
    },
  },
];

/** A task that has these states one after another, and keeps the last one. */
async function world(states: readonly object[], failures: readonly object[] = []) {
  const [aws, store, stop] = [await JsonAws.start(), new LogStore(), new AbortController()];
  const told: string[] = [];
  let looks = 0;
  aws.actions = {
    GetLogEvents: store.getLogEvents,
    DescribeTaskDefinition: () => ({ taskDefinition: { containerDefinitions } }),
    RunTask: () => (failures.length > 0 ? { tasks: [], failures } : { tasks: [{ taskArn: 'task/c/1' }] }),
    DescribeTasks: () => {
      if (looks < states.length) store.add(STREAM, `line ${looks}`);
      const state = states[Math.min(looks++, states.length - 1)];
      return { tasks: state ? [{ taskArn: 'task/c/1', ...state }] : [] };
    },
  };
  const clients = { ecs: async () => aws.ecs, logs: async () => aws.logs } as unknown as Clients;
  const hands = {
    ...{ cloud: awsCloud(clients, 'c'), clock: hurriedClock(), held: UNLOCKED, signal: stop.signal },
    timing: { timeout: 60_000, poll: 2000, failures: 2 },
    tell: ({ text }: { readonly text: string }) => void told.push(text),
  };
  const run = (
    task: Partial<OneOff> = {},
    onLine: (message: string) => void = () => {},
    waitsForLog = true,
  ) =>
    runOneOff(
      hands,
      { name: 'job', taskDefinition: 'app:1', container: 'app', ...task },
      {
        ...{ startedBy: 'me', token: 'once', deadline: Number.POSITIVE_INFINITY },
        waitsForLog,
        onLine: ({ message }) => onLine(message),
      },
    );
  const dispose = async () => await aws[Symbol.asyncDispose]();
  return { aws, store, run, stop, told, [Symbol.asyncDispose]: dispose };
}

const stopped = (exitCode: number | undefined, reason?: string) => ({
  lastStatus: 'STOPPED',
  stopCode: 'EssentialContainerExited',
  stoppedReason: 'Essential container in task exited',
  containers: [
    { name: 'sidecar', exitCode: 0 },
    { name: 'app', exitCode, reason },
  ],
});

test('a task runs to its end, each of its lines is shown once, and its exit code is the result', async () => {
  await using there = await world([{ lastStatus: 'PENDING' }, { lastStatus: 'RUNNING' }, stopped(3)]);
  const lines: string[] = [];
  const placement = {
    network: { subnets: ['subnet-1'], securityGroups: ['sg-1'], publicIp: false },
    capacity: [{ provider: 'FARGATE_SPOT', weight: 1, base: 0 }],
    platformVersion: '1.4.0',
  };
  const result = await there.run({ placement, command: ['migrate', '--yes'] }, (message) => {
    lines.push(message);
    // The last line of a stopped task arrives late.
    if (message === 'line 2') there.store.add(STREAM, 'late 99');
  });
  const why = 'Essential container in task exited; app exited with code 3';
  assert.deepEqual(result, { arn: 'task/c/1', exitCode: 3, why });
  assert.deepEqual(lines, [...new Set(lines)]);
  assert.ok(lines.includes('late 99') && lines.includes('line 0'));
  const run = there.aws.calls.find(({ action }) => action === 'RunTask')?.body;
  assert.deepEqual(run, {
    networkConfiguration: {
      awsvpcConfiguration: {
        subnets: ['subnet-1'],
        securityGroups: ['sg-1'],
        assignPublicIp: 'DISABLED',
      },
    },
    capacityProviderStrategy: [{ capacityProvider: 'FARGATE_SPOT', weight: 1, base: 0 }],
    ...{ platformVersion: '1.4.0', cluster: 'c', taskDefinition: 'app:1', count: 1 },
    ...{ startedBy: 'me', clientToken: 'once' },
    overrides: { containerOverrides: [{ name: 'app', command: ['migrate', '--yes'] }] },
  });
});

test('on request, run waits for the last lines of a task that succeeded', async () => {
  for (const waitsForLog of [true, false]) {
    await using there = await world([{ lastStatus: 'RUNNING' }, stopped(0)]);
    const lines: string[] = [];
    const hear = (message: string) => {
      lines.push(message);
      if (message === 'line 1') there.store.add(STREAM, 'late 99');
    };
    assert.equal((await there.run({}, hear, waitsForLog)).exitCode, 0);
    assert.equal(lines.includes('late 99'), waitsForLog);
  }
});

test('the error for a task that cannot start lists each reason', async () => {
  await using there = await world(
    [],
    [{ reason: 'RESOURCE:MEMORY', arn: 'container-instance/1' }, { reason: 'AGENT' }],
  );
  await assert.rejects(
    there.run(),
    /did not start: RESOURCE:MEMORY, container-instance\/1 \(.*free memory.*AGENT \(.*not connected/,
  );
});

test('the error for a task that ends without an exit code says why', async () => {
  await using there = await world([stopped(undefined, 'CannotPullContainerError: no such image')]);
  await assert.rejects(
    there.run(),
    /container app of the task job ended without an exit code: Essential.*CannotPullContainerError: no such image/,
  );
});

test('a container that the task does not have is refused, and the first essential container is the default', () => {
  assert.equal(chosenContainer('The task job', containerDefinitions, undefined), 'app');
  assert.throws(() => chosenContainer('The task job', containerDefinitions, 'db'), {
    kind: 'usage',
    message: /no container "db"\. It has sidecar, app/,
  });
});

test('an abort stops the task', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }]);
  await assert.rejects(
    there.run({}, () => there.stop.abort()),
    /job was stopped: ecs-release was interrupted/,
  );
  const last = there.aws.calls.at(-1);
  assert.deepEqual([last?.action, last?.body.task], ['StopTask', 'task/c/1']);
});

test('a task that takes longer than its timeout is stopped', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }]);
  await assert.rejects(there.run({ timeout: '1m' }), /job was stopped: it did not end within 1 min/);
  assert.equal(there.aws.calls.at(-1)?.action, 'StopTask');
});

test('if logs cannot be read, this is reported once, and the task keeps running', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }, { lastStatus: 'RUNNING' }, stopped(0)]);
  there.store.refusal = () => 'AccessDeniedException';
  assert.equal((await there.run()).exitCode, 0);
  assert.deepEqual(there.told.length, 1);
  assert.match(there.told[0] ?? '', /the logs cannot be read: .*logs:GetLogEvents/);
});

test('if a task can no longer be watched, the error names it, and it keeps running', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }]);
  there.aws.actions = {
    ...there.aws.actions,
    DescribeTasks: () => {
      throw new Refusal('AccessDeniedException', 'no');
    },
  };
  await assert.rejects(there.run(), /task\/c\/1 was started and may still run.*AccessDeniedException/);
  assert.ok(!there.aws.calls.some(({ action }) => action === 'StopTask'));
});

test('run waits for a task that ECS does not show yet, and reports a task that ECS has forgotten', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }, stopped(0)]);
  const { DescribeTasks = () => ({}) } = there.aws.actions;
  let looks = 0;
  there.aws.actions = {
    ...there.aws.actions,
    DescribeTasks: (body) => (++looks < 4 ? {} : DescribeTasks(body)),
  };
  assert.equal((await there.run()).exitCode, 0);
  there.aws.actions = { ...there.aws.actions, DescribeTasks: () => ({ failures: [{ reason: 'MISSING' }] }) };
  await assert.rejects(there.run(), /ECS no longer knows the task task\/c\/1/);
});

test('a task can use the network and capacity of a service', async () => {
  await using aws = await JsonAws.start();
  const awsvpcConfiguration = { subnets: ['subnet-1'], securityGroups: ['sg-1'] };
  const network = { ...awsvpcConfiguration, publicIp: false };
  const spot = [{ capacityProvider: 'FARGATE_SPOT', weight: 1 }];
  const base = { status: 'ACTIVE', networkConfiguration: { awsvpcConfiguration }, platformVersion: '1.4.0' };
  aws.actions = {
    DescribeServices: ({ services }) => ({
      services: (services as string[]).map((serviceName) => ({
        ...{ ...base, serviceName },
        ...(serviceName === 'spot' ? { capacityProviderStrategy: spot } : { launchType: 'FARGATE' }),
      })),
    }),
  };
  const clients = { ecs: async () => aws.ecs } as unknown as Clients;
  const placements = (await awsCloud(clients, 'c').services(['web', 'spot'])).map(placementOf);
  assert.deepEqual(placements, [
    { network, launchType: 'FARGATE', platformVersion: '1.4.0' },
    { network, capacity: [{ provider: 'FARGATE_SPOT', weight: 1, base: 0 }], platformVersion: '1.4.0' },
  ]);
});
