/** The command `init`. It writes a configuration from the services and rules that exist. */

import { existsSync, writeFileSync } from 'node:fs';
import { ListServicesCommand } from '@aws-sdk/client-ecs';
import { ListRulesCommand } from '@aws-sdk/client-eventbridge';
import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { stringify } from 'yaml';
import { Clients } from '../aws/clients.ts';
import { readServices, readTaskDefinition } from '../aws/task-reads.ts';
import { readRule } from '../aws/triggers.ts';
import { configOf } from '../config/read.ts';
import { parseRegistry } from '../config/registry.ts';
import { ReleaseError } from '../errors.ts';
import { familyOf, type Trigger } from '../release/cloud.ts';
import { printResult } from './print.ts';
import type { Given, Run } from './row.ts';

export const init: Run = async (given, surroundings) => {
  const { cluster, region, stage } = wordsOf(given, surroundings.env);
  await using clients = new Clients(region);
  const { Account: account = '' } = await (await clients.sts()).send(new GetCallerIdentityCommand({}));
  const [services, triggers] = await Promise.all([servicesIn(clients, cluster), triggersIn(clients)]);
  const images = new Map<string, object>();
  const containersOf = async (taskDefinition: string) => {
    const { definition } = await readTaskDefinition(await clients.ecs(), taskDefinition);
    const own = (definition.containerDefinitions ?? []).flatMap(({ name = '', image = '' }) => {
      const [, registry = '', repository = ''] = /^([^/]+[.:][^/]*)\/([^@:]+)/.exec(image) ?? [];
      // Only images in ECR belong in the configuration. Other images are deployed as they are.
      const known = parseRegistry(registry, { account, region });
      if (repository === '' || !known) return [];
      const key = repository.replace(/^.*\//, '');
      const isOwn = known.account === account && known.region === region && known.host.includes('.ecr.');
      images.set(key, { repository, ...(!isOwn && { registry }), context: '.' });
      return [[name, { image: key }]];
    });
    return Object.fromEntries(own) as Record<string, object>;
  };
  const serviceEntries: Record<string, object> = {};
  for (const { name, taskDefinition } of services)
    serviceEntries[name] = { service: name, containers: await containersOf(taskDefinition) };
  const scheduled: Record<string, object> = {};
  for (const { place, taskDefinition } of triggers) {
    const family = familyOf(taskDefinition);
    const rule = place === family ? {} : { rule: place };
    scheduled[family] = { families: family, ...rule, containers: await containersOf(taskDefinition) };
  }
  const made = {
    application: cluster.replace(/^.*\//, ''),
    stages: { [stage]: { account, region, cluster, record: '.ecs-release', tags: [`${stage}-{commit}`] } },
    images: Object.fromEntries(images),
    services: serviceEntries,
    scheduled,
  };
  const text = stringify(made);
  // Validate the result before anything is written.
  configOf(text, stage, { commit: 'commit' }, 'what was found');
  const path = given.text('config') ?? 'ecs-release.yaml';
  if (!given.flag('dry-run')) {
    if (existsSync(path))
      throw new ReleaseError('usage', `${path} is there already. Remove it, or give --config.`);
    writeFileSync(path, text, { flag: 'wx' });
  }
  const told = given.flag('dry-run')
    ? text.trimEnd()
    : `${path} is written. Look at it, and set "record" to s3://BUCKET/PREFIX if several machines deploy.`;
  printResult(given, surroundings, made, told);
  return 0;
};

function wordsOf(given: Given, env: Readonly<Record<string, string | undefined>>) {
  const [cluster, region] = [
    given.text('cluster'),
    given.text('region') ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION,
  ];
  if (cluster === undefined || region === undefined)
    throw new ReleaseError('usage', 'Which cluster? Give --cluster NAME and --region REGION.');
  return { cluster, region, stage: given.text('stage') ?? 'staging' };
}

async function servicesIn(clients: Clients, cluster: string) {
  const ecs = await clients.ecs();
  const names: string[] = [];
  let nextToken: string | undefined;
  do {
    const page = await ecs.send(new ListServicesCommand({ cluster, ...(nextToken && { nextToken }) }));
    names.push(...(page.serviceArns ?? []).map((arn) => arn.replace(/^.*\//, '')));
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return await readServices(ecs, cluster, names.sort());
}

async function triggersIn(clients: Clients): Promise<readonly Trigger[]> {
  const events = await clients.events();
  const names: string[] = [];
  let NextToken: string | undefined;
  do {
    const page = await events.send(new ListRulesCommand({ ...(NextToken && { NextToken }) }));
    names.push(...(page.Rules ?? []).map(({ Name = '' }) => Name));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  const lists = await Promise.all(names.sort().map((name) => readRule(events, name)));
  return lists.flat();
}
