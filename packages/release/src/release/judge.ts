/**
 * Judges a service during a rollout: it is stable, still rolling out, or failed with a reason. Pure. A rollback by
 * ECS's circuit breaker is a failure, because the healthy tasks that run afterwards are not the released ones.
 */

import { type Deployment, type Service, shortName, type Task } from './cloud.ts';

export interface Rollout {
  readonly service: string;
  readonly taskDefinition: string;
  /** undefined: the primary deployment with that task definition. */
  readonly deployment: string | undefined;
  /** Ids of the events from before the rollout. */
  readonly knownEvents: ReadonlySet<string>;
  /** true: the deployment was seen, so if it is missing, it is gone. */
  readonly wasSeen: boolean;
  /** The number of consecutive reads that did not show it. A single read may return stale data of AWS. */
  readonly missed: number;
}

export type Verdict =
  | {
      readonly is: 'going on';
      readonly text: string;
      readonly wantsStopped: boolean;
      /** ECS found no place for a task. ECS keeps trying, so only a lasting lack of capacity is a failure. */
      readonly lack?: string;
    }
  | { readonly is: 'stable'; readonly isAlone: boolean; readonly text: string }
  | { readonly is: 'failed'; readonly reason: string; readonly task?: Task };

const CAPACITY =
  /was unable to place a task|unable to consistently start tasks|RESOURCE:|Capacity is unavailable/;

export function deploymentOf(
  service: Service,
  { deployment, taskDefinition }: Rollout,
): Deployment | undefined {
  const { deployments } = service;
  if (deployment !== undefined) return deployments.find(({ id }) => id === deployment);
  return deployments.find((one) => one.status === 'PRIMARY' && one.taskDefinition === taskDefinition);
}

/**
 * @param stopped stopped tasks of the service, as far as they were read
 * @param allowed the number of failed tasks that fails the rollout; Infinity: only ECS decides
 */
export function judge(
  service: Service,
  rollout: Rollout,
  stopped: readonly Task[],
  allowed: number,
): Verdict {
  const own = deploymentOf(service, rollout);
  const [primary] = service.deployments.filter(({ status }) => status === 'PRIMARY');
  const news = service.events.filter(({ id }) => !rollout.knownEvents.has(id)).map(({ message }) => message);
  const failed = failuresOf(stopped, rollout, own);
  const [newest] = failed;
  const because = newest ? `: ${whyStopped(newest)}` : '';
  const withTask = newest && { task: newest };
  if (
    own?.rolloutState === 'FAILED' ||
    (rollout.wasSeen && rollout.missed > 0 && own?.status !== 'PRIMARY')
  ) {
    const rolledBack = [own?.reason ?? '', primary?.reason ?? '', ...news].find((text) =>
      /circuit breaker|roll/i.test(text),
    );
    const what = rolledBack
      ? `ECS stopped the deployment of ${rollout.service} (${rolledBack})`
      : `${rollout.service} runs ${shortName(primary?.taskDefinition ?? '?')}, which somebody else deployed in the meantime`;
    return { is: 'failed', reason: `${what}${because}`, ...withTask };
  }
  if (!own)
    return { is: 'going on', text: `${rollout.service}: waiting for ECS to begin`, wantsStopped: false };
  const isDefinite =
    newest !== undefined &&
    Number.isFinite(allowed) &&
    /CannotPull|ResourceInitializationError|ManifestUnknown/.test(newest.stoppedReason);
  if (newest && (isDefinite || failed.length >= allowed)) {
    const times = failed.length > 1 ? `${failed.length} tasks of ` : 'a task of ';
    return { is: 'failed', reason: `${times}${rollout.service} stopped${because}`, ...withTask };
  }
  const counts = `${rollout.service}: ${own.running} of ${own.desired} tasks run`;
  if (isComplete(service, own) && own.running >= own.desired)
    return {
      is: 'stable',
      isAlone: service.deployments.every((one) => one === own || isSpent(one)),
      text: counts,
    };
  const wantsStopped = own.failed > 0 || news.some((text) => /stopped|unhealthy|unable|failed/.test(text));
  const lack = news.find((text) => CAPACITY.test(text));
  return { is: 'going on', text: counts, wantsStopped, ...(lack !== undefined && { lack }) };
}

/** If ECS reports no rollout state, the service's newest event decides. */
function isComplete({ deployments, events }: Service, own: Deployment): boolean {
  if (own.rolloutState !== undefined) return own.rolloutState === 'COMPLETED';
  return (
    deployments.length === 1 &&
    own.running === own.desired &&
    /has reached a steady state/.test(events[0]?.message ?? '')
  );
}

/** A failed deployment stays in the list for a while after its tasks are gone. */
function isSpent({ rolloutState, running }: Deployment): boolean {
  return rolloutState === 'FAILED' && running === 0;
}

/**
 * Returns failed tasks, newest first. The release is not to blame for a task that was stopped on purpose or by Spot.
 */
function failuresOf(
  stopped: readonly Task[],
  { taskDefinition }: Rollout,
  own: Deployment | undefined,
): readonly Task[] {
  const isOwn = (task: Task) =>
    task.startedBy.startsWith('ecs-svc/') && own
      ? task.startedBy === own.id
      : task.taskDefinition === taskDefinition;
  const isFailure = ({ stopCode, stoppedReason }: Task) =>
    /EssentialContainerExited|TaskFailedToStart/.test(stopCode) || /health check/i.test(stoppedReason);
  return stopped
    .filter((task) => isOwn(task) && isFailure(task))
    .toSorted((a, b) => b.createdAt - a.createdAt);
}

/** Describes why a task stopped, with a hint if the cause is known. */
export function whyStopped(task: Task): string {
  const { stoppedReason, containers } = task;
  const exits = containers
    .filter(({ exitCode, reason }) => (exitCode ?? 0) !== 0 || reason !== '')
    .map(({ name, exitCode, reason }) => {
      const code = exitCode === undefined ? '' : ` exited with code ${exitCode}`;
      return `${name}${code}${reason === '' ? '' : ` (${reason})`}`;
    });
  const hint = HINTS.find(([pattern]) => pattern.test(`${stoppedReason} ${exits.join(' ')}`))?.[1];
  return [stoppedReason, ...exits].filter((one) => one !== '').join('; ') + (hint ? `. ${hint}` : '');
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /CannotPull.*(not found|manifest unknown|ManifestUnknown)/is,
    'The image is not in its registry; push it.',
  ],
  [/CannotPull/, 'The image cannot be pulled; check the execution role and the route to the registry.'],
  [
    /unable to (pull|retrieve) secrets|secretsmanager/i,
    'A secret is missing, or the execution role may not read it; run "ecs-release verify".',
  ],
  [/Could not resolve entrypoint/, 'application_type is missing or unknown; set "kind".'],
  [/OutOfMemory/, 'The container needs more memory.'],
  [/health check/i, 'The new tasks run but do not become healthy; look at their logs.'],
];
