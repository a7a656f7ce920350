/** The commands `login`, `build`, `push` and `images`. */

import { setTimeout } from 'node:timers/promises';
import { digestOf, imageOf, repositoryOf } from '../aws/images.ts';
import { millisecondsOf } from '../config/duration.ts';
import { type ReleaseConfig, tagsOf } from '../config/read.ts';
import { registryOf } from '../config/registry.ts';
import { ReleaseError } from '../errors.ts';
import { buildWords } from '../images/build-words.ts';
import { addTag, catalogueOf, passwordOf, removeTag } from '../images/catalogue.ts';
import { type Docker, dockerFor } from '../images/docker.ts';
import { type Context, contextOf } from './context.ts';
import { printResult, table } from './print.ts';
import type { Given, Run, Surroundings } from './row.ts';

export const login: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config } = context;
  const hosts = await loginTo(
    context,
    dockerFor(surroundings.env, surroundings.signal),
    Object.keys(config.images ?? {}),
  );
  const registry = hosts.join(', ');
  printResult(given, surroundings, { registry }, `Docker is logged in to ${registry} as ${context.caller}.`);
  return 0;
};

/**
 * Logs in to the registries of these images. Every push logs in again, because the password expires after twelve hours.
 */
async function loginTo(
  { clients, config }: Context,
  docker: Docker,
  names: readonly string[],
): Promise<readonly string[]> {
  const found = names.map((name) => registryOf(config.stage, imageOf(config, name)));
  if (found.length === 0) found.push(registryOf(config.stage, { repository: '' }));
  const registries = new Map(found.map((one) => [one.host, one]));
  for (const { host, region } of registries.values()) {
    const { user, password } = await passwordOf(await clients.ecr(region));
    await docker(['login', '--username', user, '--password-stdin', host], password);
  }
  return [...registries.keys()];
}

export const build: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config } = context;
  const docker = planned(given, surroundings);
  const names = chosen(config, given.words);
  for (const name of names) {
    const image = imageOf(config, name);
    const references = referencesOf(config, name);
    if (image.mirror === undefined) {
      await docker(buildWords(name, image, references));
    } else {
      await docker([
        'pull',
        ...(image.platform === undefined ? [] : ['--platform', image.platform]),
        image.mirror,
      ]);
      for (const reference of references) await docker(['tag', image.mirror, reference]);
    }
  }
  printResult(given, surroundings, names, `built: ${names.join(', ')}`);
  return 0;
};

export const push: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, clients } = context;
  const docker = planned(given, surroundings);
  const names = chosen(config, given.words);
  if (!given.flag('dry-run')) await loginTo(context, docker, names);
  const pushed: Record<string, string> = {};
  for (const name of names) {
    for (const reference of referencesOf(config, name)) await docker(['push', reference]);
    const [tag = ''] = tagsFor(config, name);
    if (!given.flag('dry-run')) pushed[name] = await digestOf(clients, config, name, tag);
  }
  const rows = Object.entries(pushed).map(([name, digest]) => [
    name,
    tagsFor(config, name).join(' '),
    digest,
  ]);
  printResult(given, surroundings, pushed, table(rows));
  return 0;
};

/** Returns a function that runs docker. With `--dry-run`, the function only prints the command. */
function planned(given: Given, { env, signal, stderr }: Surroundings): Docker {
  if (!given.flag('dry-run')) return dockerFor(env, signal);
  return async (words) => void stderr.write(`docker ${words.join(' ')}\n`);
}

function chosen(config: ReleaseConfig, words: readonly string[]): readonly string[] {
  for (const word of words) imageOf(config, word);
  return words.length > 0 ? words : Object.keys(config.images ?? {});
}

function tagsFor(config: ReleaseConfig, name: string): readonly string[] {
  const { tag } = imageOf(config, name);
  const tags = tag === undefined ? tagsOf(config) : [tag];
  if (tags.length > 0) return tags;
  throw new ReleaseError('usage', `The image ${name} has no "tag", and the stage has no "tags".`);
}

function referencesOf(config: ReleaseConfig, name: string): readonly string[] {
  return tagsFor(config, name).map((tag) => `${repositoryOf(config, imageOf(config, name))}:${tag}`);
}

const ACTIONS = 'list IMAGE, tag IMAGE DIGEST|TAG NEW_TAG, untag IMAGE TAG, or watch IMAGE TAG';

export const images: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const [action = '', name = '', ...words] = given.words;
  const { repository } = imageOf(context.config, name);
  const ecr = await context.clients.ecr();
  if (action === 'list') return await list(context, repository, given, surroundings);
  const [first, second] = words;
  if (action === 'watch' && first !== undefined)
    return await watch(context, name, first, given, surroundings);
  const isTag = action === 'tag' && first !== undefined && second !== undefined;
  if (!isTag && (action !== 'untag' || first === undefined))
    throw new ReleaseError('usage', `That is no whole command. Use "images" with ${ACTIONS}.`);
  if (!given.flag('dry-run'))
    await (isTag ? addTag(ecr, repository, first, second) : removeTag(ecr, repository, first ?? ''));
  const text = isTag ? `${repository}:${second} is ${first}` : `${repository}:${first} is removed`;
  printResult(
    given,
    surroundings,
    { repository, action, words },
    given.flag('dry-run') ? `would do: ${text}` : text,
  );
  return 0;
};

async function list(
  { clients }: Context,
  repository: string,
  given: Given,
  surroundings: Surroundings,
): Promise<number> {
  const all = (await catalogueOf(await clients.ecr(), repository)).slice(
    0,
    Number(given.text('limit') ?? 10),
  );
  const rows = all.map(({ imageTags = [], imageDigest = '', imagePushedAt, imageSizeInBytes = 0 }) => [
    imagePushedAt?.toISOString() ?? '',
    imageTags.join(' ') || '-',
    imageDigest,
    `${Math.ceil(imageSizeInBytes / 1_048_576)} MiB`,
  ]);
  printResult(given, surroundings, all, table([['PUSHED', 'TAGS', 'DIGEST', 'SIZE'], ...rows]));
  return 0;
}

/** Returns when the tag refers to another image. */
async function watch(
  { clients, config }: Context,
  name: string,
  tag: string,
  given: Given,
  surroundings: Surroundings,
): Promise<number> {
  const poll = given.text('poll');
  const pause = poll === undefined ? 30_000 : millisecondsOf(poll);
  const before = await digestOf(clients, config, name, tag);
  for (;;) {
    await setTimeout(pause, undefined, { signal: surroundings.signal });
    const digest = await digestOf(clients, config, name, tag);
    if (digest === before) continue;
    printResult(given, surroundings, { before, digest }, `${tag} is ${digest} now`);
    return 0;
  }
}
