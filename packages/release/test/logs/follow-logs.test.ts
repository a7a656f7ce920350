/** Logs of tasks, with a simulated CloudWatch Logs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { followLogs, LogPrinter } from '../../src/logs/follow-logs.ts';
import { LogFollower } from '../../src/logs/log-follower.ts';
import { type LogSource, sourcesOf } from '../../src/logs/log-sources.ts';
import { serviceSources } from '../../src/logs/service-sources.ts';
import { JsonAws } from '../support/json-aws.ts';
import { hurriedClock, LogStore } from '../support/log-store.ts';

const never = new AbortController().signal;

function source(container: string, taskId = '1111aaaa2222'): LogSource {
  return { group: '/ecs/app', stream: `ecs/${container}/${taskId}`, taskId, container };
}

async function world() {
  const aws = await JsonAws.start();
  const store = new LogStore();
  aws.actions = { GetLogEvents: store.getLogEvents };
  return {
    aws,
    store,
    async [Symbol.asyncDispose]() {
      await aws[Symbol.asyncDispose]();
    },
  };
}

test('each event arrives once and in the order of its stream, however CloudWatch pages them', async () => {
  await using aws = await JsonAws.start();
  const writes = fc.array(fc.tuple(fc.nat({ max: 2 }), fc.nat({ max: 12 })), { maxLength: 12 });
  const pages = fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(writes, pages, async (batches, sizes) => {
      const store = new LogStore();
      aws.actions = { GetLogEvents: store.getLogEvents };
      let count = 0;
      store.pageSize = () => (count++ % 3 === 2 ? 2 : (sizes[count % sizes.length] ?? 1));
      const sources = ['a', 'b', 'c'].map((name) => source(name));
      const follower = new LogFollower(aws.logs);
      const got: string[] = [];
      const read = async () => {
        do for (const { message } of await follower.round(sources, never)) got.push(message);
        while (follower.hasMore);
      };
      let written = 0;
      for (const [which, lines] of batches) {
        const { stream } = sources[which] as LogSource;
        store.add(stream, ...Array.from({ length: lines }, () => `${'abc'[which]} ${++written}`));
        await read();
      }
      await read();
      for (const [which, { stream }] of sources.entries())
        assert.deepEqual(
          got.filter((message) => message.startsWith('abc'[which] as string)),
          (store.streams.get(stream) ?? []).map(({ message }) => message),
        );
    }),
    { numRuns: 40 },
  );
});

test('without --follow, the logs of all containers are read to their ends and ordered by time', async () => {
  await using there = await world();
  const { store, aws } = there;
  store.add('ecs/app/1111aaaa2222', 'app 1', 'app 3', 'app 5', 'app 6');
  store.add('ecs/proxy/1111aaaa2222', 'proxy 2', 'proxy 4');
  const sources = async () => [source('app'), source('proxy'), source('not yet')];
  const printer = new LogPrinter();
  let text = '';
  for await (const event of followLogs({
    logs: aws.logs,
    clock: hurriedClock(),
    sources,
    isFollowing: false,
    signal: never,
  }))
    text += printer.line(event);
  assert.equal(
    text,
    [
      'app/1111aaaa | app 1',
      'proxy/1111aaaa | proxy 2',
      'app/1111aaaa   | app 3',
      'proxy/1111aaaa | proxy 4',
      'app/1111aaaa   | app 5',
      'app/1111aaaa   | app 6',
      '',
    ].join('\n'),
  );
});

test('a followed log includes streams and tasks that start later, and ends when it is aborted', async () => {
  await using there = await world();
  const { store, aws } = there;
  const stop = new AbortController();
  const seen: string[] = [];
  let tasks = ['1111'];
  const sources = async () => tasks.map((id) => source('app', id));
  const reading = (async () => {
    for await (const { message } of followLogs({
      logs: aws.logs,
      clock: hurriedClock(),
      sources,
      isFollowing: true,
      signal: stop.signal,
    })) {
      seen.push(message);
      if (message === 'first 1') {
        tasks = ['2222'];
        store.add('ecs/app/2222', 'second 2');
      }
      // The first task has disappeared from the list, and its log is read to the end.
      if (message === 'second 2') store.add('ecs/app/1111', 'last of first 3');
      if (message === 'last of first 3') stop.abort(new Error('enough'));
    }
  })();
  while (aws.calls.length === 0) await new Promise(setImmediate);
  store.add('ecs/app/1111', 'first 1');
  await assert.rejects(reading, /enough/);
  assert.deepEqual(seen, ['first 1', 'second 2', 'last of first 3']);
});

test('if CloudWatch throttles, the reader backs off and continues where it was', async () => {
  await using there = await world();
  const { store, aws } = there;
  store.add('ecs/app/1111aaaa2222', ...Array.from({ length: 8 }, (_, i) => `line ${i}`));
  let count = 0;
  store.refusal = () => (++count > 1 && count < 6 ? 'ThrottlingException' : undefined);
  const pauses: number[] = [];
  const got: string[] = [];
  const sources = async () => [source('app')];
  const clock = hurriedClock((milliseconds) => pauses.push(milliseconds));
  for await (const { message } of followLogs({
    logs: aws.logs,
    clock,
    sources,
    isFollowing: false,
    signal: never,
  }))
    got.push(message);
  assert.deepEqual(
    got,
    Array.from({ length: 8 }, (_, i) => `line ${i}`),
  );
  assert.equal(pauses.length, 4);
  assert.ok(
    (pauses[0] as number) <= 1_000 && (pauses[3] as number) > 3 * (pauses[0] as number),
    pauses.join(),
  );
});

test('if the caller may not read a log group, the error names the missing right', async () => {
  await using there = await world();
  there.store.refusal = () => 'AccessDeniedException';
  const follower = new LogFollower(there.aws.logs);
  await assert.rejects(
    follower.round([source('app')], never),
    /\/ecs\/app may not be read.*logs:GetLogEvents/,
  );
});

test('a start time excludes older events', async () => {
  await using there = await world();
  there.store.add('ecs/app/1111aaaa2222', 'old 10', 'new 20');
  const events = await new LogFollower(there.aws.logs, 15).round([source('app')], never);
  assert.deepEqual(
    events.map(({ message }) => message),
    ['new 20'],
  );
});

test("the log streams of a service are those of its tasks' containers with the driver awslogs, over all pages", async () => {
  await using aws = await JsonAws.start();
  const options = { 'awslogs-group': '/ecs/app', 'awslogs-stream-prefix': 'ecs' };
  const containerDefinitions = [
    { name: 'app', logConfiguration: { logDriver: 'awslogs' as const, options } },
    { name: 'agent', logConfiguration: { logDriver: 'awsfirelens' as const } },
    { name: 'silent' },
  ];
  aws.actions = {
    ListTasks: ({ desiredStatus, nextToken }) => {
      if (desiredStatus === 'STOPPED') return { taskArns: ['task/c/old'] };
      return nextToken ? { taskArns: ['task/c/2'] } : { taskArns: ['task/c/1'], nextToken: 'more' };
    },
    DescribeTasks: ({ tasks }) => ({
      tasks: (tasks as string[]).map((taskArn) => ({ taskArn, taskDefinitionArn: 'app:7' })),
    }),
    DescribeTaskDefinition: () => ({ taskDefinition: { containerDefinitions } }),
  };
  const sources = await serviceSources(aws.ecs, { cluster: 'c', service: 's' })(never);
  assert.deepEqual(
    sources.map(({ stream }) => stream),
    ['ecs/app/1', 'ecs/app/2', 'ecs/app/old'],
  );
  assert.equal(aws.calls.filter(({ action }) => action === 'DescribeTaskDefinition').length, 1);
  assert.deepEqual(sourcesOf({ containerDefinitions }, 'task/c/1', 'agent'), []);
});
