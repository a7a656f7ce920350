/** The command `init`. It writes a configuration from the services, rules and schedules that exist. */

import { existsSync, writeFileSync } from 'node:fs';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { stringify } from 'yaml';
import { Clients } from '../aws/clients.ts';
import { findIn } from '../aws/find-all.ts';
import { configOf } from '../config/read.ts';
import { configurationOf } from '../config/write.ts';
import { ReleaseError } from '../errors.ts';
import { printResult, teller } from './print.ts';
import type { Given, Run } from './row.ts';

export const init: Run = async (given, surroundings) => {
  const { cluster, region, stage } = wordsOf(given, surroundings.env);
  await using clients = new Clients(region);
  const { Account: account = '' } = await (await clients.sts()).send(new GetCallerIdentityCommand({}));
  const found = await findIn(clients, cluster);
  const tell = teller(given, surroundings);
  for (const what of found.leftOut) tell({ event: 'failure', text: `not read: ${what}` });
  const made = configurationOf(found, { account, region, cluster, stage });
  const text = stringify(made);
  // Validate the result before anything is written.
  configOf(text, stage, { commit: 'commit' }, 'what was found');
  const path = given.text('config') ?? 'ecs-release.yaml';
  if (!given.flag('dry-run')) {
    if (existsSync(path))
      throw new ReleaseError('usage', `${path} already exists. Remove it, or use --config.`);
    writeFileSync(path, text, { flag: 'wx' });
  }
  const told = given.flag('dry-run')
    ? text.trimEnd()
    : `${path} was written. Review it, and set "record" to s3://BUCKET/PREFIX if several machines deploy.`;
  printResult(given, surroundings, made, told);
  return 0;
};

function wordsOf(given: Given, env: Readonly<Record<string, string | undefined>>) {
  const [cluster, region] = [
    given.text('cluster'),
    given.text('region') ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION,
  ];
  if (cluster === undefined || region === undefined)
    throw new ReleaseError('usage', 'No cluster was given. Use --cluster NAME and --region REGION.');
  return { cluster, region, stage: given.text('stage') ?? 'staging' };
}
