/** The commands `login`, `build` and `push`. */

import { randomUUID } from 'node:crypto';
import { digestOf, imageOf, repositoryOf } from '../aws/images.ts';
import { systemClock } from '../clock.ts';
import { type ReleaseConfig, tagsOf } from '../config/read.ts';
import { registryOf } from '../config/registry.ts';
import type { ImageConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import { buildWords } from '../images/build-words.ts';
import { passwordOf } from '../images/catalogue.ts';
import { type Docker, dockerFor } from '../images/docker.ts';
import { buildRemotely, type Overrides, remoteBuildOf } from '../images/remote-build.ts';
import { UNLOCKED } from '../release/work.ts';
import { type Context, contextOf } from './context.ts';
import { printResult, table, teller } from './print.ts';
import type { Given, Run, Surroundings } from './row.ts';

export const login: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config } = context;
  const isDry = given.flag('dry-run');
  const hosts = await loginTo(context, planned(given, surroundings), Object.keys(config.images ?? {}), isDry);
  const registry = hosts.join(', ');
  const text = `Docker ${isDry ? 'would be' : 'is'} logged in to ${registry} as ${context.caller}.`;
  printResult(given, surroundings, { registry }, text);
  return 0;
};

/**
 * Logs in to the registries of these images. Every push logs in again, because the password expires after twelve hours.
 */
async function loginTo(
  { clients, config }: Context,
  docker: Docker,
  names: readonly string[],
  isDry = false,
): Promise<readonly string[]> {
  const found = names.map((name) => registryOf(config.stage, imageOf(config, name)));
  if (found.length === 0) found.push(registryOf(config.stage, { repository: '' }));
  const registries = new Map(found.map((one) => [one.host, one]));
  for (const { host, region } of registries.values()) {
    const { user, password } = isDry
      ? { user: 'AWS', password: '' }
      : await passwordOf(await clients.ecr(region));
    await docker(['login', '--username', user, '--password-stdin', host], password);
  }
  return [...registries.keys()];
}

export const build: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config } = context;
  const docker = planned(given, surroundings);
  const names = chosen(config, given.words);
  const overrides = overridesOf(given);
  const made: Record<string, object> = {};
  for (const name of names) {
    const image = imageOf(config, name);
    if (isRemote(image, given)) made[name] = await remotely(context, given, surroundings, name, overrides);
    else {
      const whole = given.flag('cache') ? image : { ...image, cache: false };
      made[name] = await locally(docker, name, whole, referencesOf(config, name));
    }
  }
  const text = `${given.flag('dry-run') ? 'would build' : 'built'}: ${names.join(', ')}`;
  printResult(given, surroundings, made, text);
  return 0;
};

async function locally(docker: Docker, name: string, image: ImageConfig, references: readonly string[]) {
  const { mirror, platform } = image;
  if (mirror === undefined) {
    await docker(buildWords(name, image, references));
    return { references };
  }
  await docker(['pull', ...(platform === undefined ? [] : ['--platform', platform]), mirror]);
  for (const reference of references) await docker(['tag', mirror, reference]);
  return { references };
}

/** Builds in CodeBuild, which also pushes the image. */
async function remotely(
  { clients, config }: Context,
  given: Given,
  surroundings: Surroundings,
  name: string,
  overrides: Overrides,
): Promise<object> {
  const [tag = ''] = tagsFor(config, name);
  const { commit } = config.values;
  const wanted = remoteBuildOf(
    imageOf(config, name),
    tag,
    commit === undefined ? undefined : String(commit),
    overrides,
  );
  if (given.flag('dry-run')) {
    teller(given, surroundings)({ event: 'step', text: `CodeBuild ${JSON.stringify(wanted)}` });
    return wanted;
  }
  const { signal } = surroundings;
  const work = {
    ...{ clock: systemClock, timing: config.timing, held: UNLOCKED, signal },
    tell: teller(given, surroundings),
  };
  const id = await buildRemotely(clients, work, name, wanted, randomUUID());
  // Otherwise, only the deploy would notice a buildspec that pushes another tag, or nothing.
  return { build: id, digest: await digestOf(clients, config, name, tag) };
}

function isRemote({ remote }: ImageConfig, given: Given): boolean {
  return remote !== undefined && !given.flag('local');
}

function overridesOf(given: Given): Overrides {
  const source = given.text('source');
  const environment = given.texts('override').map((one) => {
    const [, name = '', value = ''] = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(one) ?? [];
    if (name === '')
      throw new ReleaseError('usage', '--override needs NAME=VALUE, such as --override IMAGE_TAG=blue.');
    return [name, value] as const;
  });
  return { environment: Object.fromEntries(environment), ...(source !== undefined && { source }) };
}

export const push: Run = async (given, surroundings) => {
  await using context = await contextOf(given, surroundings);
  const { config, clients } = context;
  const docker = planned(given, surroundings);
  const names = chosen(config, given.words);
  if (!given.flag('dry-run')) await loginTo(context, docker, names);
  const pushed: Record<string, string> = {};
  for (const name of names) {
    // A remote build has pushed its image itself.
    if (!isRemote(imageOf(config, name), given))
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
function planned(given: Given, surroundings: Surroundings): Docker {
  const { env, signal } = surroundings;
  const tell = teller(given, surroundings);
  if (!given.flag('dry-run')) return dockerFor(env, signal, tell);
  return async (words) => tell({ event: 'step', text: `docker ${words.join(' ')}` });
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
