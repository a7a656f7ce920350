/** Checks everything that a release depends on. It changes nothing. */

import type { RegisterTaskDefinitionCommandInput, TaskDefinition } from '@aws-sdk/client-ecs';
import type { Clients } from '../aws/clients.ts';
import { resolveImages } from '../aws/images.ts';
import type { ReleaseConfig } from '../config/read.ts';
import { messageOf } from '../errors.ts';
import type { Cloud } from '../release/cloud.ts';
import { observe } from '../release/observe.ts';
import { planRelease } from '../release/plan.ts';
import { bad, type Check, good } from './check.ts';
import { checkSecrets } from './secrets.ts';
import {
  checkLifecycles,
  checkLogGroups,
  checkRights,
  checkRoles,
  checkTargetGroups,
} from './surroundings.ts';

export async function verify({
  config,
  clients,
  cloud,
  caller,
}: {
  config: ReleaseConfig;
  clients: Clients;
  cloud: Cloud;
  caller: string;
}): Promise<readonly Check[]> {
  const { stage } = config;
  const first = [good(`account ${stage.account}, as ${caller}`), ...(await checkRights(clients, caller))];
  const images = await resolveImages(clients, config).catch((error: unknown) => messageOf(error));
  if (typeof images === 'string') return [...first, bad('images', images)];
  const observed = await observe(cloud, config).catch((error: unknown) => messageOf(error));
  if (typeof observed === 'string') return [...first, good('images'), bad('stage', observed)];
  let plan: ReturnType<typeof planRelease>;
  try {
    plan = planRelease(config, observed, images);
  } catch (error) {
    return [...first, good('images'), bad('configuration', messageOf(error))];
  }
  const live = [...observed.definitions.values()].map(({ definition }) => definition);
  const definitions: readonly TaskDefinition[] = [...live, ...plan.register];
  const found = await Promise.all([
    checkRoles(clients, definitions),
    checkLogGroups(clients, definitions),
    checkSecrets(clients, secretsOf(plan.register.length > 0 ? plan.register : live)),
    checkTargetGroups(clients, stage.cluster, [...observed.services.keys()]),
    checkLifecycles(clients, digestsOf(definitions)),
  ]);
  return [...first, good('images'), good('configuration'), ...found.flat()];
}

function secretsOf(
  definitions: readonly (TaskDefinition | RegisterTaskDefinitionCommandInput)[],
): readonly string[] {
  return definitions.flatMap(({ containerDefinitions = [] }) =>
    containerDefinitions.flatMap(({ secrets = [] }) => secrets.map(({ valueFrom = '' }) => valueFrom)),
  );
}

/** Returns digests by repository, of the running and the planned task definitions. */
function digestsOf(definitions: readonly TaskDefinition[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { containerDefinitions = [] } of definitions) {
    for (const { image = '' } of containerDefinitions) {
      const [, repository, digest] = /^[^/]+\/(.+)@(sha256:[0-9a-f]+)$/.exec(image) ?? [];
      if (repository !== undefined && digest !== undefined)
        found.set(repository, (found.get(repository) ?? new Set()).add(digest));
    }
  }
  return found;
}
