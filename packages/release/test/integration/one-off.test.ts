/** One-off tasks and their logs on ministack, where tasks are real containers. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RegisterTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { systemClock } from '../../src/clock.ts';
import { followLogs, LogPrinter } from '../../src/logs/follow-logs.ts';
import { type RunTaskOptions, runTask } from '../../src/logs/run-task.ts';
import { serviceSources } from '../../src/logs/service-sources.ts';
import { AwsHost, pushImage, REGISTRY } from '../support/aws-host.ts';

const never = new AbortController().signal;
let host: AwsHost;

before(async () => {
  host = await AwsHost.start();
  await host.makeCluster('main');
  await host.makeRepository('job');
  pushImage(`${REGISTRY}/job:1`, 'for i in 1 2 3 4 5; do echo "line $i"; done; exit 3');
  const options = {
    'awslogs-group': '/ecs/job',
    'awslogs-stream-prefix': 'ecs',
    'awslogs-region': 'us-east-1',
  };
  const logConfiguration = {
    logDriver: 'awslogs' as const,
    options: { ...options, 'awslogs-create-group': 'true' },
  };
  const ecs = await host.clients.ecs();
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: 'job',
      containerDefinitions: [
        { name: 'job', image: `${REGISTRY}/job:1`, memory: 64, essential: true, logConfiguration },
      ],
    }),
  );
});

after(async () => await host?.[Symbol.asyncDispose]());

async function run(more: Partial<RunTaskOptions> = {}) {
  const [ecs, logs] = [await host.clients.ecs(), await host.clients.logs()];
  const placement = { launchType: 'EC2' as const };
  const lines: string[] = [];
  const log: RunTaskOptions['log'] = ({ message }) => lines.push(message);
  const result = await runTask({
    ...{
      ecs,
      logs,
      clock: systemClock,
      cluster: 'main',
      taskDefinition: 'job',
      placement,
      log,
      signal: never,
    },
    ...more,
  });
  return { ...result, lines };
}

test('on ministack a task runs in a real container, with its lines and its exit code', async () => {
  const { exitCode, container, lines, taskArn } = await run();
  assert.deepEqual({ exitCode, container }, { exitCode: 3, container: 'job' });
  assert.deepEqual(lines, ['line 1', 'line 2', 'line 3', 'line 4', 'line 5']);
  const [ecs, logs] = [await host.clients.ecs(), await host.clients.logs()];
  const sources = serviceSources(ecs, { cluster: 'main', tasks: [taskArn] });
  const printer = new LogPrinter();
  let text = '';
  for await (const event of followLogs({
    logs,
    clock: systemClock,
    sources,
    isFollowing: false,
    signal: never,
  }))
    text += printer.line(event);
  assert.match(text, /^job\/[0-9a-f]{8} \| line 1\n/);
  assert.equal(text.split('\n').length, 6);
});

test('on ministack a task is run with another command, and stopped by an abort', async () => {
  const other = await run({ command: ['sh', '-c', 'echo other; exit 0'] });
  assert.deepEqual([other.exitCode, other.lines], [0, ['other']]);
  const stop = new AbortController();
  let taskArn = '';
  const running = run({
    command: ['sh', '-c', 'echo ready; sleep 3600'],
    signal: stop.signal,
    started: (arn) => {
      taskArn = arn;
    },
    log: () => stop.abort(new Error('stopped by the test')),
  });
  await assert.rejects(running, /stopped by the test/);
  const { DescribeTasksCommand } = await import('@aws-sdk/client-ecs');
  const ecs = await host.clients.ecs();
  const { tasks: [task] = [] } = await ecs.send(
    new DescribeTasksCommand({ cluster: 'main', tasks: [taskArn] }),
  );
  assert.equal(task?.desiredStatus, 'STOPPED');
  assert.match(task?.stoppedReason ?? '', /interrupted/);
});
