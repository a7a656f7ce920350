/** Finds the region of the secret: from its ARN, from the environment, or from ECS's metadata of the task. */

import { describe, EntryError } from './entry-error.ts';

const PATIENCE = 5_000;

/** @throws EntryError */
export async function findRegion(
  identity: string,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<string> {
  const [, fromArn] = /^arn:[^:]+:secretsmanager:([a-z0-9-]+):/.exec(identity) ?? [];
  const known = fromArn ?? (env.AWS_REGION || env.AWS_DEFAULT_REGION);
  if (known) return known;
  const metadata = env.ECS_CONTAINER_METADATA_URI_V4;
  const remedy = 'set AWS_REGION in the task definition, or let IDENTITY be the ARN of the secret';
  if (!metadata)
    throw new EntryError(
      'region unknown',
      `the region of the secret is unknown, and this is not an ECS task; ${remedy}`,
    );
  try {
    const timeout = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
    const answer = await fetch(`${metadata}/task`, { signal: timeout });
    const { TaskARN = '' } = (await answer.json()) as { TaskARN?: string };
    const [, region] = /^arn:[^:]+:ecs:([a-z0-9-]+):/.exec(TaskARN) ?? [];
    if (region) return region;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new EntryError(
      'region unknown',
      `ECS did not return the region of this task (${describe(error)}); ${remedy}`,
    );
  }
  throw new EntryError('region unknown', `ECS returned no region for this task; ${remedy}`);
}
