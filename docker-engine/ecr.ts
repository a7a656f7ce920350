/** Issues credentials for Amazon's registries: the private ones of any region, and the public one. */

import { ServiceError } from '../errors/service-error.ts';
import { askingOnce } from '../host/aws-client.ts';
import { whyOf } from '../host/aws-failures.ts';
import { authIn, type Issued, type Issuer } from './registry-credentials.ts';

/** Source: Amazon ECR User Guide, "Private registry". */
const PRIVATE = /^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)$/;
export const PUBLIC = 'public.ecr.aws';
/** The region in which the public registry issues its tokens. */
export const PUBLIC_REGION = 'us-east-1';

interface Token {
  readonly authorizationToken?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

/** The calls that get a token. The SDK is loaded with the first one. */
export interface EcrCalls {
  privateToken(region: string): Promise<Token | undefined>;
  publicToken(region: string): Promise<Token | undefined>;
}

export const ECR_CALLS: EcrCalls = {
  async privateToken(region) {
    const { ECRClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr');
    const client = new ECRClient(askingOnce(region, undefined));
    try {
      return (await client.send(new GetAuthorizationTokenCommand({}))).authorizationData?.[0];
    } finally {
      client.destroy();
    }
  },
  async publicToken(region) {
    const { ECRPUBLICClient, GetAuthorizationTokenCommand } = await import('@aws-sdk/client-ecr-public');
    const client = new ECRPUBLICClient(askingOnce(region, undefined));
    try {
      return (await client.send(new GetAuthorizationTokenCommand({}))).authorizationData;
    } finally {
      client.destroy();
    }
  },
};

/** @returns the region of a private registry of Amazon ECR; undefined for any other registry */
export function regionOf(registry: string): string | undefined {
  return PRIVATE.exec(registry)?.[1];
}

/**
 * @throws {ServiceError} `image.no_credentials`, for a private registry only: the public one works without credentials
 */
export function ecrIssuer(calls: EcrCalls = ECR_CALLS): Issuer {
  return async (registry) => {
    const region = regionOf(registry);
    if (registry === PUBLIC) return issued(await calls.publicToken(PUBLIC_REGION).catch(() => undefined));
    if (region === undefined) return undefined;
    try {
      const found = issued(await calls.privateToken(region));
      if (found) return found;
    } catch (error) {
      throw new ServiceError('image.no_credentials', { registry, why: whyOf(error) });
    }
    throw new ServiceError('image.no_credentials', { registry, why: 'its answer has no token' });
  };
}

/** A token is `USER:PASSWORD` in base64. */
function issued({ authorizationToken = '', expiresAt }: Token = {}): Issued | undefined {
  const auth = authIn(authorizationToken);
  return auth?.password && expiresAt ? { auth, ends: expiresAt.getTime() } : undefined;
}
