/**
 * The commands `render` and `describe`. `render` prints the task definition that a release would use, and `describe`
 * prints one as it is in ECS now.
 */

import { resolveImages } from '../aws/images.ts';
import { ReleaseError } from '../errors.ts';
import { observe } from '../release/observe.ts';
import { planRelease } from '../release/plan.ts';
import { contextOf } from './context.ts';
import type { Run } from './row.ts';

export const render: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, clients, cloud } = context;
  const [name = ''] = given.words;
  const [observed, images] = await Promise.all([observe(cloud, config), resolveImages(clients, config)]);
  const plan = planRelease(config, observed, images);
  const known = [
    ...plan.services.map((one) => ({ name: one.name, revision: one.after.taskDefinition })),
    ...plan.triggers.map((one) => ({ name: one.name, revision: one.after })),
    ...[...plan.before, ...plan.after].map((one) => ({ name: one.name, revision: one.taskDefinition })),
  ];
  const found = known.find((one) => one.name === name);
  if (!found)
    throw new ReleaseError(
      'usage',
      `The release has no "${name}". It has: ${known.map((one) => one.name).join(', ')}.`,
    );
  const { revision } = found;
  const definition =
    'register' in revision
      ? plan.register[revision.register]
      : (await cloud.taskDefinition(revision.arn)).definition;
  surroundings.stdout.write(`${JSON.stringify(definition, undefined, 2)}\n`);
  return 0;
};

export const describe: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, cloud } = context;
  const [name = ''] = given.words;
  const service = config.services?.[name]?.service;
  const { before = [], after = [] } = config.tasks ?? {};
  const family = [...before, ...after].find((one) => one.name === name)?.family ?? name;
  const [live] = service === undefined ? [] : await cloud.services([service]);
  const { definition, tags } = await cloud.taskDefinition(live?.taskDefinition ?? family);
  surroundings.stdout.write(`${JSON.stringify({ ...definition, tags }, undefined, 2)}\n`);
  return 0;
};
