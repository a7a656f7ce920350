/** A process's view of the simulated AWS: calls fail, answers are lost, and the process dies. */

import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Store } from '../../src/record/store.ts';
import { type Cloud, SUSPENDED, type Trigger } from '../../src/release/cloud.ts';
import type { Live } from '../../src/release/task-definition.ts';
import type { SimulatedAws } from './simulated-aws.ts';

/** What happens to a call. */
export type Fault = 'fail' | 'lose answer' | 'die before' | 'die after' | undefined;
export type Decide = (name: string) => Fault;

export function connect(
  aws: SimulatedAws,
  owner: string,
  decide: Decide,
): { readonly cloud: Cloud; readonly store: Store } {
  const call = async <T>(name: string, make: () => T, signal?: AbortSignal): Promise<T> => {
    await aws.time.turn(owner);
    signal?.throwIfAborted();
    const fault = decide(name);
    if (fault === 'fail') throw new Error(`${name} failed`);
    if (fault === 'die before') return await die(aws, owner);
    const result = make();
    if (fault === 'die after') return await die(aws, owner);
    await aws.time.turn(owner);
    if (fault === 'lose answer') throw new Error(`the answer of ${name} was lost`);
    return result;
  };
  /** A call that changes the stage. */
  const change = async <T>(name: string, signal: AbortSignal, make: () => T): Promise<T> =>
    await call(
      name,
      () => {
        aws.noteChange(owner, name);
        return make();
      },
      signal,
    );
  const live = (definition: TaskDefinition): Live => ({ definition, tags: [] });
  const cloud: Cloud = {
    taskDefinition: (name) => call('DescribeTaskDefinition', () => live(aws.definition(name))),
    newestRevisions: (family) =>
      call('ListTaskDefinitions', () =>
        aws.definitions
          .filter((one) => one.family === family && one.status === 'ACTIVE')
          .map(({ taskDefinitionArn = '' }) => taskDefinitionArn)
          .reverse(),
      ),
    families: (prefix) =>
      call('ListFamilies', () => [
        ...new Set(aws.definitions.map(({ family = '' }) => family).filter((one) => one.startsWith(prefix))),
      ]),
    services: (names) =>
      call('DescribeServices', () =>
        names.map((name) => aws.answer(`service ${name}`, () => aws.describe(name))),
      ),
    stoppedTasks: (service) => call('ListTasks', () => aws.stoppedOf(service)),
    tasksStartedBy: (id) =>
      call('ListTasks', () =>
        [...aws.tasks.values()].filter((one) => one.startedBy === id && one.endsAt > aws.time.now),
      ),
    tasks: (arns) => call('DescribeTasks', () => arns.map((arn) => aws.task(arn))),
    lastLines: () => call('GetLogEvents', () => ['the last line']),
    logOf: async () => ({ hasSources: false, read: async () => ({ events: [], isBehind: false }) }),
    triggersOfRule: (rule) =>
      call('ListTargetsByRule', () => aws.answer(`rule ${rule}`, () => aws.rules.get(rule) ?? [])),
    triggersOfGroup: () => call('ListSchedules', () => []),
    register: (input, signal) => change('RegisterTaskDefinition', signal, () => aws.register(input)),
    deregister: (arn, signal) => change('DeregisterTaskDefinition', signal, () => aws.deregister(arn)),
    updateService: (one, signal) => change('UpdateService', signal, () => aws.update(one)),
    runTask: (start, signal) => change('RunTask', signal, () => aws.start(start)),
    stopTask: (arn, _reason, signal) => change('StopTask', signal, () => aws.stop(arn)),
    moveTriggers: (triggers, signal) =>
      change('PutTargets', signal, () => {
        const [{ place }] = triggers as [Trigger];
        aws.rules.set(place, triggers.map(asAwsHasIt));
      }),
    scaling: (names) =>
      call('DescribeScalableTargets', () => {
        const stateOf = (name: string) =>
          aws.suspended.has(name) ? SUSPENDED : { ...SUSPENDED, in: false, out: false };
        return new Map(names.filter((name) => aws.scalable.has(name)).map((name) => [name, stateOf(name)]));
      }),
    setScaling: (service, { in: isSuspended, scheduled }, signal) =>
      change('RegisterScalableTarget', signal, () => {
        if (!aws.scalable.has(service)) throw new Error(`${service} is not scaled automatically`);
        if (!scheduled) throw new Error('the scheduled scaling was suspended before');
        if (isSuspended) aws.suspended.add(service);
        else aws.suspended.delete(service);
      }),
  };
  return { cloud, store: storeOf(aws, call) };
}

/** In AWS, the count is in the target, and the schedule is in the rule. */
function asAwsHasIt({ count, schedule, ...one }: Trigger): Trigger {
  const { EcsParameters } = one.whole as { readonly EcsParameters?: object };
  return {
    ...one,
    ...(count !== undefined && {
      whole: { ...one.whole, EcsParameters: { ...EcsParameters, TaskCount: count } },
    }),
    ...(schedule !== undefined && { rule: { ...one.rule, ScheduleExpression: schedule } }),
  };
}

function storeOf(aws: SimulatedAws, call: <T>(name: string, make: () => T) => Promise<T>): Store {
  let versions = 0;
  return {
    place: 'memory',
    read: (name) => call('GetObject', () => aws.objects.get(name)),
    write: (name, text, version) =>
      call('PutObject', () => {
        if (aws.objects.get(name)?.version !== version) return undefined;
        versions += 1;
        const made = `${text.length}-${versions}-${Math.random()}`;
        aws.objects.set(name, { text, version: made });
        return made;
      }),
    list: (prefix) =>
      call('ListObjects', () => [...aws.objects.keys()].filter((one) => one.startsWith(prefix)).sort()),
  };
}

async function die(aws: SimulatedAws, owner: string): Promise<never> {
  aws.time.kill(owner);
  return await new Promise<never>(() => {});
}
