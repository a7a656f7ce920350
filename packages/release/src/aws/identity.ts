/** Finds out the caller's AWS identity, and checks that it belongs to the stage's account. */

import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { StageConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import type { Clients } from './clients.ts';

/**
 * @returns the caller's ARN
 * @throws ReleaseError usage when the credentials belong to another account
 */
export async function guardAccount(
  clients: Clients,
  stage: StageConfig & { readonly name: string },
): Promise<string> {
  const { Account, Arn = '' } = await (await clients.sts()).send(new GetCallerIdentityCommand({}));
  if (Account === stage.account) return Arn;
  throw new ReleaseError(
    'usage',
    `The credentials are of account ${Account} (${Arn}), and the stage ${stage.name} is in ${stage.account}. Log in to that account, or set "role" of the stage.`,
  );
}
