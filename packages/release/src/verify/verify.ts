/** Checks everything that a release depends on. It changes nothing. */

import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Clients } from '../aws/clients.ts';
import { imagesIn, resolveImage } from '../aws/images.ts';
import type { ReleaseConfig } from '../config/read.ts';
import { messageOf } from '../errors.ts';
import type { Cloud } from '../release/cloud.ts';
import { type Observed, observe } from '../release/observe.ts';
import { type Plan, planRelease, type ResolvedImage, type Revision } from '../release/plan.ts';
import { checkAlarms } from './alarms.ts';
import { bad, type Check, good } from './check.ts';
import { checkPlatforms, checkProjects, checkRepositories } from './images.ts';
import { checkLifecycles } from './lifecycle.ts';
import { checkExecution, checkRights, rightsOf, rightsOfExecution } from './rights.ts';
import { checkSecrets } from './secrets.ts';
import { checkCluster, checkLogGroups, checkRoles } from './surroundings.ts';
import { checkTargetGroups } from './target-groups.ts';
import { checkTriggers, rolesOfTriggers } from './triggers.ts';

export interface Subject {
  readonly config: ReleaseConfig;
  readonly clients: Clients;
  readonly cloud: Cloud;
  readonly caller: string;
  /** Reads the stage's record. */
  readonly record: () => Promise<unknown>;
}

export async function verify({ config, clients, cloud, caller, record }: Subject): Promise<readonly Check[]> {
  const { stage } = config;
  const first = [good(`account ${stage.account}, as ${caller}`), await checkRecord(stage.record, record)];
  const [cluster, repositories, projects, images, observed] = await Promise.all([
    checkCluster(clients, stage.cluster),
    checkRepositories(clients, config),
    checkProjects(clients, config),
    checkImages(clients, config),
    observe(cloud, config).catch((error: unknown) => messageOf(error)),
  ]);
  const named = [...first, cluster, ...repositories, ...projects, ...images.checks];
  if (typeof observed === 'string') return [...named, bad('stage', observed)];
  const live = [...observed.definitions.values()].map(({ definition }) => definition);
  const plan = images.all && planOf(config, observed, images.all);
  const isPlanned = plan !== undefined && typeof plan !== 'string';
  const after = isPlanned ? definitionsAfter(plan, observed) : live;
  const triggers = [...observed.triggers.values()].flat();
  const found = await Promise.all([
    checkRights(clients, caller, rightsOf(config, after, triggers), stage.cluster),
    checkRoles(clients, after, rolesOfTriggers(triggers)),
    checkExecution(clients, rightsOfExecution(stage, after), stage.cluster),
    checkPlatforms(clients, config, after),
    checkLifecycles(clients, stage, [...live, ...after]),
    checkSecrets(clients, after),
    checkLogGroups(clients, after),
    checkTargetGroups(clients, stage.cluster, byService(config, observed, isPlanned ? plan : undefined)),
    checkTriggers(clients, stage.cluster, triggers),
    checkAlarms(clients, stage.cluster, stage.alarms ?? [], [...observed.services.keys()]),
  ]);
  const planned = typeof plan === 'string' ? [bad('configuration', plan)] : [];
  return [...named, ...planned, ...(isPlanned ? [good('configuration')] : []), ...found.flat()];
}

async function checkRecord(place: string, read: () => Promise<unknown>): Promise<Check> {
  try {
    await read();
    return good(`record ${place}`);
  } catch (error) {
    return bad(
      `record ${place}`,
      `${messageOf(error)}. Correct "record" of the stage, or create the bucket.`,
    );
  }
}

/** @returns `all`: the images, if each of them exists */
async function checkImages(clients: Clients, config: ReleaseConfig) {
  const answers = await Promise.all(
    imagesIn(config).map(async (name) => ({
      name,
      found: await resolveImage(clients, config, name).catch((error: unknown) => messageOf(error)),
    })),
  );
  const wrong = answers.flatMap(({ name, found }) =>
    typeof found === 'string' ? [bad(`image ${name}`, found)] : [],
  );
  if (wrong.length > 0) return { checks: wrong };
  const all = Object.fromEntries(answers.map(({ name, found }) => [name, found as ResolvedImage]));
  return { checks: [good('images')], all };
}

function planOf(config: ReleaseConfig, observed: Observed, images: Plan['images']): Plan | string {
  try {
    return planRelease(config, observed, images);
  } catch (error) {
    return messageOf(error);
  }
}

function definitionOf(revision: Revision, plan: Plan, { definitions }: Observed): TaskDefinition {
  if ('register' in revision) return plan.register[revision.register] ?? {};
  const live = [...definitions.values()].find(
    ({ definition }) => definition.taskDefinitionArn === revision.arn,
  );
  return live?.definition ?? {};
}

function definitionsAfter(plan: Plan, observed: Observed): readonly TaskDefinition[] {
  const revisions = [
    ...plan.services.map(({ after }) => after.taskDefinition),
    ...plan.triggers.map(({ after }) => after),
    ...[...plan.before, ...plan.after].map(({ taskDefinition }) => taskDefinition),
  ];
  return [...new Set(revisions.map((one) => definitionOf(one, plan, observed)))];
}

/** Returns what services will run after the release, or what they run now if the release cannot be planned. */
function byService(
  { services = {} }: ReleaseConfig,
  observed: Observed,
  plan: Plan | undefined,
): ReadonlyMap<string, TaskDefinition> {
  if (plan)
    return new Map(
      plan.services.map((one) => [one.service, definitionOf(one.after.taskDefinition, plan, observed)]),
    );
  return new Map(
    Object.values(services).flatMap(({ service }) => {
      const arn = observed.services.get(service)?.taskDefinition;
      const live = arn === undefined ? undefined : observed.definitions.get(arn);
      return live ? [[service, live.definition] as const] : [];
    }),
  );
}
