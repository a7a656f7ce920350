/** One-off tasks, against a stand-in of ECS and CloudWatch Logs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placementOf, type RunTaskOptions, runTask } from '../../src/logs/run-task.ts';
import { JsonAws, Refusal } from '../support/json-aws.ts';
import { hurriedClock, LogStore } from '../support/log-store.ts';

const never = new AbortController().signal;
const STREAM = 'ecs/app/1';
const definition = {
  containerDefinitions: [
    { name: 'sidecar', essential: false },
    {
      name: 'app',
      essential: true,
      logConfiguration: {
        logDriver: 'awslogs',
        options: { 'awslogs-group': '/ecs/app', 'awslogs-stream-prefix': 'ecs' },
      },
    },
  ],
};

/** A task that is seen in these states, one after another, the last one again and again. */
async function world(states: readonly object[], failures: readonly object[] = []) {
  const [aws, store] = [await JsonAws.start(), new LogStore()];
  let looks = 0;
  aws.actions = {
    GetLogEvents: store.getLogEvents,
    DescribeTaskDefinition: () => ({ taskDefinition: definition }),
    RunTask: () => (failures.length > 0 ? { tasks: [], failures } : { tasks: [{ taskArn: 'task/c/1' }] }),
    DescribeTasks: () => {
      if (looks < states.length) store.add(STREAM, `line ${looks}`);
      const state = states[Math.min(looks++, states.length - 1)];
      return { tasks: state ? [{ taskArn: 'task/c/1', ...state }] : [] };
    },
  };
  const run = (more: Partial<RunTaskOptions> = {}) =>
    runTask({
      ...{ ecs: aws.ecs, logs: aws.logs, clock: hurriedClock(), cluster: 'c', taskDefinition: 'app' },
      ...{ placement: {}, signal: never },
      ...more,
    });
  return {
    aws,
    store,
    run,
    async [Symbol.asyncDispose]() {
      await aws[Symbol.asyncDispose]();
    },
  };
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

test('a task runs to its end, its lines are shown once each, and its exit code is the result', async () => {
  await using there = await world([{ lastStatus: 'PENDING' }, { lastStatus: 'RUNNING' }, stopped(3)]);
  const lines: string[] = [];
  const placement = { networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-1'] } } };
  const result = await there.run({
    placement,
    command: ['migrate', '--yes'],
    environment: { LEVEL: 'high' },
    token: 'once',
    log: ({ message }) => {
      lines.push(message);
      // A stopped task's last line comes late.
      if (message === 'line 2') there.store.add(STREAM, 'late 99');
    },
  });
  assert.deepEqual(result, {
    taskArn: 'task/c/1',
    container: 'app',
    exitCode: 3,
    stoppedReason: 'Essential container in task exited',
  });
  assert.deepEqual(lines, [...new Set(lines)]);
  assert.ok(lines.includes('late 99') && lines.includes('line 0'));
  const run = there.aws.calls.find(({ action }) => action === 'RunTask')?.body;
  assert.deepEqual(run, {
    ...placement,
    cluster: 'c',
    taskDefinition: 'app',
    count: 1,
    clientToken: 'once',
    overrides: {
      containerOverrides: [
        { name: 'app', command: ['migrate', '--yes'], environment: [{ name: 'LEVEL', value: 'high' }] },
      ],
    },
  });
});

test('a task that cannot start is told with each reason', async () => {
  await using there = await world(
    [],
    [{ reason: 'RESOURCE:MEMORY', arn: 'container-instance/1' }, { reason: 'AGENT' }],
  );
  await assert.rejects(
    there.run(),
    /did not start: RESOURCE:MEMORY, container-instance\/1 \(.*free memory.*AGENT \(.*not connected/,
  );
});

test('a task that ends without an exit code is told with why', async () => {
  await using there = await world([stopped(undefined, 'CannotPullContainerError: no such image')]);
  await assert.rejects(
    there.run(),
    /container app of the task ended without an exit code: CannotPullContainerError: no such image; Essential/,
  );
});

test('a container that the task does not have is refused before the task starts', async () => {
  await using there = await world([stopped(0)]);
  await assert.rejects(there.run({ container: 'db' }), {
    kind: 'usage',
    message: /no container db; it has sidecar, app/,
  });
  assert.ok(!there.aws.calls.some(({ action }) => action === 'RunTask'));
});

test('an abort stops the task', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }]);
  const stop = new AbortController();
  const running = there.run({ signal: stop.signal, log: () => stop.abort(new Error('stopped by the test')) });
  await assert.rejects(running, /stopped by the test/);
  const last = there.aws.calls.at(-1);
  assert.deepEqual([last?.action, last?.body.task], ['StopTask', 'task/c/1']);
});

test('logs that cannot be read are told once, and the task goes on', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }, { lastStatus: 'RUNNING' }, stopped(0)]);
  there.store.refusal = () => 'AccessDeniedException';
  const told: unknown[] = [];
  const result = await there.run({ log: () => {}, unreadable: (error) => told.push(error) });
  assert.equal(result.exitCode, 0);
  assert.equal(told.length, 1);
});

test('a task that cannot be watched any more is named, and not stopped', async () => {
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

test('a task that ECS sees late is waited for, and one that ECS forgets is told', async () => {
  await using there = await world([{ lastStatus: 'RUNNING' }, stopped(0)]);
  const { DescribeTasks = () => ({}) } = there.aws.actions;
  let looks = 0;
  there.aws.actions = {
    ...there.aws.actions,
    DescribeTasks: (body) => (++looks < 4 ? {} : DescribeTasks(body)),
  };
  assert.equal((await there.run()).exitCode, 0);
  there.aws.actions = { ...there.aws.actions, DescribeTasks: () => ({ failures: [{ reason: 'MISSING' }] }) };
  await assert.rejects(there.run(), /ECS does not know the task task\/c\/1 any more/);
});

test('a task runs where a service does', async () => {
  await using aws = await JsonAws.start();
  const networkConfiguration = { awsvpcConfiguration: { subnets: ['subnet-1'], securityGroups: ['sg-1'] } };
  const found = { status: 'ACTIVE', networkConfiguration, launchType: 'FARGATE', platformVersion: 'LATEST' };
  aws.actions = {
    DescribeServices: ({ services }) => ({ services: (services as string[])[0] === 'web' ? [found] : [] }),
  };
  const { status: _, ...placement } = found;
  assert.deepEqual(await placementOf(aws.ecs, 'c', 'web', never), placement);
  await assert.rejects(placementOf(aws.ecs, 'c', 'gone', never), /cluster c has no service gone/);
});
