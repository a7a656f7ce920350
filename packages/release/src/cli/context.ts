/** Prepares what most commands need: the stage's configuration, the AWS clients, and a check of the account. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { awsCloud } from '../aws/aws-cloud.ts';
import { Clients } from '../aws/clients.ts';
import { guardAccount } from '../aws/identity.ts';
import type { Values } from '../config/interpolate.ts';
import { type ReleaseConfig, readConfig } from '../config/read.ts';
import { ReleaseError } from '../errors.ts';
import type { Cloud } from '../release/cloud.ts';
import type { Given, Surroundings } from './row.ts';

export interface Context extends AsyncDisposable {
  readonly config: ReleaseConfig;
  readonly clients: Clients;
  readonly cloud: Cloud;
  /** The caller's ARN. */
  readonly caller: string;
}

/** @throws ReleaseError usage when the configuration is wrong, or the credentials belong to another account */
export async function contextOf(given: Given, { env }: Surroundings): Promise<Context> {
  const config = await configOfGiven(given, env);
  const { stage } = config;
  const clients = new Clients(stage.region, stage.role);
  const caller = await guardAccount(clients, stage);
  return {
    config,
    clients,
    cloud: awsCloud(clients, stage.cluster),
    caller,
    [Symbol.asyncDispose]: () => clients[Symbol.asyncDispose](),
  };
}

/** @param other the stage, if it is not that of the command line */
export async function configOfGiven(
  given: Given,
  env: Surroundings['env'],
  other?: string,
): Promise<ReleaseConfig> {
  const stage = other ?? given.text('stage') ?? env.ECS_RELEASE_STAGE;
  if (stage === undefined)
    throw new ReleaseError('usage', 'No stage was given. Use --stage STAGE, or set ECS_RELEASE_STAGE.');
  const values = { ...(await valuesOf(env)), ...setValues(given.texts('set')) };
  return readConfig(given.text('config') ?? env.ECS_RELEASE_CONFIG ?? 'ecs-release.yaml', stage, values);
}

function setValues(given: readonly string[]): Values {
  return Object.fromEntries(
    given.map((one) => {
      const [, name = '', value = ''] = /^([A-Za-z][\w-]*)=([\s\S]*)$/.exec(one) ?? [];
      if (name === '') throw new ReleaseError('usage', '--set needs NAME=VALUE, such as --set pr=12.');
      return [name, value];
    }),
  );
}

/** Reads commit, branch, tag and pull request from the CI's environment. Outside a CI, git gives the commit. */
async function valuesOf(env: Surroundings['env']): Promise<Values> {
  const isTag = env.GITHUB_REF_TYPE === 'tag';
  return {
    commit: env.BITBUCKET_COMMIT ?? env.GITHUB_SHA ?? (await head()),
    branch: env.BITBUCKET_BRANCH ?? (isTag ? undefined : env.GITHUB_REF_NAME),
    tag: env.BITBUCKET_TAG ?? (isTag ? env.GITHUB_REF_NAME : undefined),
    pr: env.BITBUCKET_PR_ID ?? /^refs\/pull\/(\d+)\//.exec(env.GITHUB_REF ?? '')?.[1],
  };
}

async function head(): Promise<string | undefined> {
  return await promisify(execFile)('git', ['rev-parse', 'HEAD']).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}
