/** The registries that this tool supports: ECR, and a registry on this machine for tests. */

import { ReleaseError } from '../errors.ts';
import type { ImageConfig, StageConfig } from './schema.ts';

export interface Registry {
  readonly host: string;
  readonly account: string;
  readonly region: string;
}

type Place = Pick<StageConfig, 'account' | 'region'>;

const ECR = /^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/;
const THIS_MACHINE = /^(localhost|127\.0\.0\.1)(:\d+)?$/;

/**
 * Parses a registry's name. Only the registries that this function accepts get ECR's password and requests for digests.
 * @returns undefined for any other registry
 */
export function parseRegistry(host: string, { account, region }: Place): Registry | undefined {
  const [, owner, place] = ECR.exec(host) ?? [];
  if (owner !== undefined && place !== undefined) return { host, account: owner, region: place };
  return THIS_MACHINE.test(host) ? { host, account, region } : undefined;
}

/** @throws ReleaseError usage when the registry is not ECR */
export function registryOf(stage: Place, { registry, repository }: ImageConfig): Registry {
  const suffix = stage.region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  const host = registry ?? `${stage.account}.dkr.ecr.${stage.region}.${suffix}`;
  const found = parseRegistry(host, stage);
  if (found) return found;
  throw new ReleaseError(
    'usage',
    `The image ${repository} is in ${host}, which is not ECR. Copy it to ECR with "mirror", or remove it from "images".`,
  );
}
