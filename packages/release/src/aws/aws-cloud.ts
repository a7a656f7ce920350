/**
 * Implements `Cloud` with AWS's APIs. Reads follow pagination to the end. A change is aborted when the lock's lease
 * runs out.
 */

import {
  DeregisterTaskDefinitionCommand,
  type ECSClient,
  RegisterTaskDefinitionCommand,
  StopTaskCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { LogFollower } from '../logs/log-follower.ts';
import { sourcesOf } from '../logs/log-sources.ts';
import type { Cloud, ServiceChange, Task, TaskLog } from '../release/cloud.ts';
import type { Clients } from './clients.ts';
import { lastLines } from './last-lines.ts';
import { readScaling, setScaling } from './scaling.ts';
import { startTask, strategyOf } from './start-task.ts';
import {
  listTasks,
  readFamilies,
  readNewestRevisions,
  readServices,
  readTaskDefinition,
  readTasks,
} from './task-reads.ts';
import { moveRule, moveSchedule, readGroup, readRule } from './triggers.ts';

export function awsCloud(clients: Clients, cluster: string): Cloud {
  const withEcs = async <T>(use: (ecs: ECSClient) => Promise<T>) => await use(await clients.ecs());
  return {
    taskDefinition: (name) => withEcs((ecs) => readTaskDefinition(ecs, name)),
    newestRevisions: (family) => withEcs((ecs) => readNewestRevisions(ecs, family)),
    families: (prefix) => withEcs((ecs) => readFamilies(ecs, prefix)),
    services: (names) => withEcs((ecs) => readServices(ecs, cluster, names)),
    scaling: async (services) => await readScaling(await clients.scaling(), cluster, services),
    stoppedTasks: (serviceName) =>
      withEcs((ecs) => listTasks(ecs, cluster, { serviceName, desiredStatus: 'STOPPED' })),
    tasksStartedBy: (startedBy) => withEcs((ecs) => listTasks(ecs, cluster, { startedBy })),
    tasks: (arns) => withEcs((ecs) => readTasks(ecs, cluster, arns)),
    lastLines: (task: Task, container) => lastLines(clients, task, container),
    logOf: (taskDefinition, task) => logOf(clients, taskDefinition, task),
    triggersOfRule: async (rule, withRule) => await readRule(await clients.events(), rule, withRule),
    triggersOfGroup: async (group) => await readGroup(await clients.scheduler(), group),
    register: (input, abortSignal) =>
      withEcs(async (ecs) => {
        const { taskDefinition } = await ecs.send(new RegisterTaskDefinitionCommand(input), { abortSignal });
        return taskDefinition?.taskDefinitionArn ?? '';
      }),
    deregister: (taskDefinition, abortSignal) =>
      withEcs(
        async (ecs) =>
          void (await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition }), { abortSignal })),
      ),
    updateService: (change, abortSignal) =>
      withEcs((ecs) => updateService(ecs, cluster, change, abortSignal)),
    runTask: (start, signal) => withEcs((ecs) => startTask(ecs, cluster, start, signal)),
    stopTask: (task, reason, abortSignal) =>
      withEcs(
        async (ecs) => void (await ecs.send(new StopTaskCommand({ cluster, task, reason }), { abortSignal })),
      ),
    moveTriggers: async (triggers, signal) => {
      const rules = triggers.filter(({ kind }) => kind === 'rule');
      if (rules.length > 0) await moveRule(await clients.events(), rules, signal);
      for (const one of triggers)
        if (one.kind === 'schedule') await moveSchedule(await clients.scheduler(), one, signal);
    },
    setScaling: async (service, suspended, signal) =>
      await setScaling(await clients.scaling(), cluster, service, suspended, signal),
  };
}

async function updateService(
  ecs: ECSClient,
  cluster: string,
  { service, taskDefinition, desired, capacity, force = false }: ServiceChange,
  abortSignal: AbortSignal,
): Promise<string> {
  const strategy = capacity && strategyOf(capacity);
  const command = new UpdateServiceCommand({
    cluster,
    service,
    taskDefinition,
    ...(desired !== undefined && { desiredCount: desired }),
    ...(strategy && { capacityProviderStrategy: strategy }),
    // ECS applies a new capacity strategy only in a new deployment.
    forceNewDeployment: force || strategy !== undefined,
  });
  const { service: updated } = await ecs.send(command, { abortSignal });
  return updated?.deployments?.find(({ status }) => status === 'PRIMARY')?.id ?? '';
}

async function logOf(clients: Clients, taskDefinition: string, task: string): Promise<TaskLog> {
  const { definition } = await readTaskDefinition(await clients.ecs(), taskDefinition);
  const sources = sourcesOf(definition, task);
  const follower = new LogFollower(await clients.logs());
  return {
    hasSources: sources.length > 0,
    read: async (signal) => {
      const events = await follower.round(sources, signal);
      return { events, isBehind: follower.isThrottled || follower.hasMore };
    },
  };
}
