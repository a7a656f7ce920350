/** The commands `logs` and `run`, which print the logs of tasks and run a task once. */

import { randomUUID } from 'node:crypto';
import { listTasks } from '../aws/task-reads.ts';
import { systemClock } from '../clock.ts';
import { ReleaseError } from '../errors.ts';
import { followLogs, LogPrinter } from '../logs/follow-logs.ts';
import type { LogEvent } from '../logs/log-follower.ts';
import { serviceSources } from '../logs/service-sources.ts';
import { activeServices, placementOf, shortName } from '../release/cloud.ts';
import { whyStopped } from '../release/judge.ts';
import { type OneOff, runOneOff } from '../release/one-off.ts';
import { chosenContainer, placementIn } from '../release/placement.ts';
import { type Hands, UNLOCKED } from '../release/work.ts';
import { findTargets } from '../session/find-targets.ts';
import { type Context, contextOf } from './context.ts';
import { durationOf } from './options.ts';
import { printResult, table, teller } from './print.ts';
import type { Given, Run } from './row.ts';
import { scopeOf } from './session-commands.ts';

export const logs: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { clients } = context;
  const milliseconds = durationOf(given, 'since');
  const ecs = await clients.ecs();
  const scope = scopeOf(context, given);
  const task = given.text('task');
  if (scope.service === undefined && scope.family === undefined && task === undefined)
    throw new ReleaseError('usage', 'No tasks were selected. Use --service, --family or --task.');
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

export const tasks: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const scope = scopeOf(context, given);
  const { service, family, cluster } = scope;
  const ecs = await context.clients.ecs();
  const [running, stopped] = await Promise.all([
    findTargets(ecs, scope, surroundings.signal),
    listTasks(ecs, cluster, {
      desiredStatus: 'STOPPED',
      ...(service !== undefined && { serviceName: service }),
      ...(family !== undefined && { family }),
    }),
  ]);
  const rows = [
    ...running.map(({ taskId, definition, container, startedAt, agent }) => [
      ...[taskId, definition, 'RUNNING', container, startedAt?.toISOString() ?? ''],
      agent === undefined ? '' : `exec ${agent.status.toLowerCase()}`,
    ]),
    ...stopped.map((task) => [
      ...[lastOf(task.arn), lastOf(task.taskDefinition), 'STOPPED', ''],
      ...[new Date(task.createdAt).toISOString(), whyStopped(task)],
    ]),
  ];
  const header = ['TASK', 'TASK DEFINITION', 'STATE', 'CONTAINER', 'SINCE', 'NOTE'];
  printResult(given, surroundings, { running, stopped }, table([header, ...rows]));
  return 0;
};

function lastOf(arn: string): string {
  return arn.replace(/^.*\//, '');
}

export const run: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const { timing } = config;
  const task = await taskOf(context, given);
  const { command, container, taskDefinition, placement } = task;
  if (given.flag('dry-run')) {
    const text = `would run ${shortName(taskDefinition)}: ${container} with ${command?.join(' ') ?? 'its own command'}`;
    printResult(given, surroundings, { taskDefinition, container, command, placement }, text);
    return 0;
  }
  const printer = new LogPrinter();
  const { signal } = surroundings;
  const tell = teller(given, surroundings);
  const hands: Hands = { cloud, clock: systemClock, timing, tell, signal, held: UNLOCKED };
  const print = (event: LogEvent) =>
    void surroundings.stdout.write(given.flag('json') ? `${JSON.stringify(event)}\n` : printer.line(event));
  const ended = await runOneOff(hands, task, {
    ...{ startedBy: 'ecs-release', token: randomUUID(), deadline: Number.POSITIVE_INFINITY },
    waitsForLog: true,
    onLine: print,
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
  if (given.flag('json')) surroundings.stdout.write(`${JSON.stringify({ container, ...ended })}\n`);
  return ended.exitCode;
};

/** Makes the task from the configuration, or from a family, and from the command line. */
async function taskOf({ config, cloud }: Context, given: Given): Promise<OneOff> {
  const [name = '', ...command] = given.words;
  const { before = [], after = [] } = config.tasks ?? {};
  const known = [...before, ...after].find((one) => one.name === name);
  const { definition } = await cloud.taskDefinition(known?.family ?? name);
  const wanted = given.text('container') ?? known?.container;
  const words = command.length > 0 ? command : known?.command;
  const service = given.text('service') ?? known?.networkOf;
  const [live] =
    service === undefined
      ? []
      : await activeServices(cloud, [config.services?.[service]?.service ?? service]);
  const placement = live ? placementOf(live) : known?.network && placementIn(known.network);
  return {
    name,
    taskDefinition: definition.taskDefinitionArn ?? name,
    container: chosenContainer(`The task ${name}`, definition.containerDefinitions ?? [], wanted),
    ...(words && { command: words }),
    ...(known?.timeout !== undefined && { timeout: known.timeout }),
    ...(placement && { placement }),
  };
}
