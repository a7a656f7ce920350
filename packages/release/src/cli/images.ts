/** The command `images`: the catalogue of a repository, its tags, and a watch on one of them. */

import { digestOf, imageOf, MissingImage } from '../aws/images.ts';
import { systemClock } from '../clock.ts';
import { registryOf } from '../config/registry.ts';
import { ReleaseError } from '../errors.ts';
import {
  addTag,
  catalogueOf,
  manifestOf,
  moveTagBack,
  type Repository,
  removeTag,
} from '../images/catalogue.ts';
import { Looks, UNLOCKED } from '../release/work.ts';
import { type Context, contextOf } from './context.ts';
import { countOf, durationOf } from './options.ts';
import { printResult, table, teller } from './print.ts';
import type { Given, Run, Surroundings } from './row.ts';

export const ACTIONS =
  'list IMAGE, manifest IMAGE DIGEST|TAG, tag IMAGE DIGEST|TAG NEW_TAG, untag IMAGE TAG, back IMAGE TAG, or watch IMAGE TAG';

export const images: Run = async (given, surroundings) => {
  const [action = '', name = '', first, second] = given.words;
  const isWhole =
    action === 'list' ||
    (['manifest', 'untag', 'back', 'watch'].includes(action) && first !== undefined) ||
    (action === 'tag' && second !== undefined);
  if (!isWhole) throw new ReleaseError('usage', `The command is incomplete. Use "images" with ${ACTIONS}.`);
  await using context = await contextOf(given, surroundings);
  const { repository } = imageOf(context.config, name);
  const registry = registryOf(context.config.stage, imageOf(context.config, name));
  const ecr = await context.clients.ecr(registry.region);
  const place: Repository = { registryId: registry.account, repositoryName: repository };
  const isDry = given.flag('dry-run');
  const tell = (result: object, text: string) =>
    printResult(given, surroundings, { repository, action, ...result }, isDry ? `would do: ${text}` : text);
  const [one, other] = [first ?? '', second ?? ''];
  switch (action) {
    case 'list':
      printCatalogue(await catalogueOf(ecr, place), given, surroundings);
      break;
    case 'manifest':
      surroundings.stdout.write(`${(await manifestOf(ecr, place, one)).imageManifest.trimEnd()}\n`);
      break;
    case 'tag':
      await (isDry ? manifestOf(ecr, place, one) : addTag(ecr, place, one, other));
      tell({ image: one, tag: other }, `${repository}:${other} is ${one}`);
      break;
    case 'untag':
      if (!isDry) await removeTag(ecr, place, one);
      tell({ tag: one }, `${repository}:${one} is removed`);
      break;
    case 'back': {
      const { from, to } = await moveTagBack(ecr, place, one, isDry);
      tell({ tag: one, from, to }, `${repository}:${one} is now ${to}; it was ${from}`);
      break;
    }
    default:
      await watch(context, name, one, given, surroundings);
  }
  return 0;
};

function printCatalogue(
  found: Awaited<ReturnType<typeof catalogueOf>>,
  given: Given,
  surroundings: Surroundings,
): void {
  const all = found.slice(0, countOf(given, 'limit', 10));
  const rows = all.map(({ imageTags = [], imageDigest = '', imagePushedAt, imageSizeInBytes = 0 }) => [
    imagePushedAt?.toISOString() ?? '',
    imageTags.join(' ') || '-',
    imageDigest,
    `${Math.ceil(imageSizeInBytes / 1_048_576)} MiB`,
  ]);
  printResult(given, surroundings, all, table([['PUSHED', 'TAGS', 'DIGEST', 'SIZE'], ...rows]));
}

/** Returns when the tag refers to another image. A tag that does not exist yet is waited for. */
async function watch(
  { clients, config, cloud }: Context,
  name: string,
  tag: string,
  given: Given,
  surroundings: Surroundings,
): Promise<void> {
  const { signal } = surroundings;
  const pause = durationOf(given, 'poll') ?? 30_000;
  const tell = teller(given, surroundings);
  const looks = new Looks({
    ...{ cloud, clock: systemClock, timing: config.timing, tell, signal, held: UNLOCKED },
  });
  const look = () => looks.look(() => digestIfThere(clients, config, name, tag));
  const before = await digestIfThere(clients, config, name, tag);
  tell({ event: 'step', text: `${tag} is ${before ?? 'not there yet'}` });
  for (;;) {
    await systemClock.sleep(pause, signal);
    const digest = await look();
    if (digest === undefined || digest === before) continue;
    return printResult(given, surroundings, { before, digest }, `${tag} is ${digest} now`);
  }
}

async function digestIfThere(
  clients: Context['clients'],
  config: Context['config'],
  name: string,
  tag: string,
): Promise<string | undefined> {
  return await digestOf(clients, config, name, tag).catch((error: unknown) => {
    if (error instanceof MissingImage) return undefined;
    throw error;
  });
}
