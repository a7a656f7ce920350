/** The commands `logs` and `run`, which print the logs of tasks and run a task once. */

import { systemClock } from '../clock.ts';
import { millisecondsOf } from '../config/duration.ts';
import { ReleaseError } from '../errors.ts';
import { followLogs, LogPrinter } from '../logs/follow-logs.ts';
import { type Placement, placementOf, runTask } from '../logs/run-task.ts';
import { serviceSources } from '../logs/service-sources.ts';
import { findTargets } from '../session/find-targets.ts';
import { type Context, contextOf } from './context.ts';
import type { Given, Run } from './row.ts';
import { scopeOf } from './session-commands.ts';

export const logs: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { clients } = context;
  const since = given.text('since');
  const milliseconds = since === undefined ? undefined : millisecondsOf(since);
  if (Number.isNaN(milliseconds)) throw new ReleaseError('usage', '--since is a duration, such as 10m.');
  const ecs = await clients.ecs();
  const scope = scopeOf(context, given);
  const task = given.text('task');
  if (scope.service === undefined && scope.family === undefined && task === undefined)
    throw new ReleaseError('usage', 'Whose logs? Give --service, --family or --task.');
  const targets = task === undefined ? [] : await findTargets(ecs, scope, surroundings.signal);
  const tasks = targets.filter(({ taskId }) => taskId.startsWith(task ?? '')).map(({ taskArn }) => taskArn);
  // A stopped task is found only by its full id.
  const named = task === undefined ? {} : { tasks: tasks.length > 0 ? [...new Set(tasks)] : [task] };
  const sources = serviceSources(ecs, { ...scope, ...named, container: given.text('container') });
  const printer = new LogPrinter();
  const following = followLogs({
    logs: await clients.logs(),
    clock: systemClock,
    sources,
    isFollowing: given.flag('follow'),
    signal: surroundings.signal,
    ...(milliseconds !== undefined && { since: systemClock.now() - milliseconds }),
  });
  for await (const event of following)
    surroundings.stdout.write(given.flag('json') ? `${JSON.stringify(event)}\n` : printer.line(event));
  return 0;
};

export const run: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, clients } = context;
  const [name = '', ...command] = given.words;
  const { before = [], after = [] } = config.tasks ?? {};
  const known = [...before, ...after].find((one) => one.name === name);
  const container = given.text('container') ?? known?.container;
  const words = command.length > 0 ? command : known?.command;
  const printer = new LogPrinter();
  const { exitCode } = await runTask({
    ecs: await clients.ecs(),
    logs: await clients.logs(),
    clock: systemClock,
    cluster: config.stage.cluster,
    taskDefinition: known?.family ?? name,
    placement: await placeOf(context, given, known),
    ...(container !== undefined && { container }),
    ...(words && { command: words }),
    log: (event) => {
      surroundings.stdout.write(given.flag('json') ? `${JSON.stringify(event)}\n` : printer.line(event));
    },
    unreadable: (error) => {
      surroundings.stderr.write(`ecs-release: the logs cannot be read: ${String(error)}\n`);
    },
    signal: surroundings.signal,
  });
  return exitCode;
};

type Known = NonNullable<NonNullable<Context['config']['tasks']>['before']>[number];

async function placeOf(context: Context, given: Given, known: Known | undefined): Promise<Placement> {
  const { clients, config } = context;
  const service = given.text('service') ?? known?.networkOf;
  if (service !== undefined) {
    const name = config.services?.[service]?.service ?? service;
    return await placementOf(await clients.ecs(), config.stage.cluster, name, AbortSignal.timeout(60_000));
  }
  if (!known?.network) return {};
  const { subnets, securityGroups = [], publicIp = false } = known.network;
  const assignPublicIp = publicIp ? ('ENABLED' as const) : ('DISABLED' as const);
  const awsvpcConfiguration = { subnets, securityGroups, assignPublicIp };
  return { launchType: 'FARGATE', networkConfiguration: { awsvpcConfiguration } };
}
