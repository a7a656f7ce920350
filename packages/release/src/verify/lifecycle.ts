/**
 * Reads a repository's lifecycle policy, and finds the images in use that the policy removes or archives. A running
 * service needs its image for every new task, so such an image must never expire.
 */

import {
  GetLifecyclePolicyCommand,
  type ImageDetail,
  LifecyclePolicyNotFoundException,
} from '@aws-sdk/client-ecr';
import type { TaskDefinition } from '@aws-sdk/client-ecs';
import type { Clients } from '../aws/clients.ts';
import { parseRegistry } from '../config/registry.ts';
import type { StageConfig } from '../config/schema.ts';
import { messageOf } from '../errors.ts';
import { catalogueOf } from '../images/catalogue.ts';
import { patternOf } from '../release/observe.ts';
import { bad, type Check, good, unknown, warning } from './check.ts';
import { referenceOf } from './images.ts';

const DAY = 86_400_000;
/** An image that expires within this many days is a failed check. A later one is a warning. */
const SOON = 14;

interface Rule {
  readonly rulePriority: number;
  readonly action?: { readonly type?: string };
  readonly selection: {
    readonly tagStatus: 'any' | 'tagged' | 'untagged';
    readonly tagPrefixList?: readonly string[];
    readonly tagPatternList?: readonly string[];
    /** The storage class of the images that the rule selects. */
    readonly storageClass?: string;
    /** `imageCountMoreThan`, or a time in days such as `sinceImagePushed`. */
    readonly countType: string;
    readonly countNumber: number;
  };
}

export interface Expiry {
  readonly digest: string;
  /** true: within `SOON` days, or already due. */
  readonly isSoon: boolean;
  readonly text: string;
}

/**
 * @param images all images of the repository
 * @param now milliseconds since 1970
 * @returns an entry for each digest in use that a rule selects
 */
export function expiring(
  policy: string,
  images: readonly ImageDetail[],
  inUse: ReadonlySet<string>,
  now: number,
): readonly Expiry[] {
  const { rules = [] }: { readonly rules?: readonly Rule[] } = JSON.parse(policy);
  const taken = new Set<string>();
  const found: Expiry[] = [];
  for (const rule of rules.toSorted((a, b) => a.rulePriority - b.rulePriority)) {
    if (rule.selection.storageClass === 'archive') continue;
    // An image belongs to the first rule that selects it.
    const selected = images
      .filter((image) => !taken.has(image.imageDigest ?? '') && isSelected(rule.selection, image))
      .toSorted((a, b) => pushedAt(b) - pushedAt(a));
    for (const [place, image] of selected.entries()) {
      const digest = image.imageDigest ?? '';
      taken.add(digest);
      if (inUse.has(digest)) found.push(expiryOf(rule, image, place + 1, now));
    }
  }
  return found;
}

function expiryOf({ rulePriority, action, selection }: Rule, image: ImageDetail, place: number, now: number) {
  const { countType, countNumber } = selection;
  const digest = image.imageDigest ?? '';
  const does = `rule ${rulePriority} ${action?.type === 'transition' ? 'archives' : 'removes'} ${digest.slice(0, 19)}`;
  if (countType === 'imageCountMoreThan')
    return {
      digest,
      isSoon: place >= countNumber,
      text: `${does} when there are ${countNumber} newer images (it is number ${place})`,
    };
  const since =
    countType === 'sinceImagePulled'
      ? (image.lastRecordedPullTime?.getTime() ?? pushedAt(image))
      : pushedAt(image);
  const at = since + countNumber * DAY;
  const after = countType === 'sinceImagePulled' ? 'after it was last pulled' : 'after it was pushed';
  return {
    digest,
    isSoon: at - now < SOON * DAY,
    text: `${does} ${countNumber} days ${after}, which is ${new Date(at).toISOString().slice(0, 10)}`,
  };
}

function pushedAt({ imagePushedAt }: ImageDetail): number {
  return imagePushedAt?.getTime() ?? 0;
}

/** If a rule has several prefixes or patterns, an image must have a tag for each. */
function isSelected(
  { tagStatus, tagPrefixList = [], tagPatternList = [] }: Rule['selection'],
  { imageTags = [] }: ImageDetail,
): boolean {
  if (tagStatus === 'any') return true;
  if (tagStatus === 'untagged') return imageTags.length === 0;
  const patterns = [...tagPrefixList.map((prefix) => `${prefix}*`), ...tagPatternList].map(patternOf);
  return patterns.every((pattern) => imageTags.some((tag) => pattern.test(tag)));
}

/** @param definitions the running and the planned task definitions */
export async function checkLifecycles(
  clients: Clients,
  stage: StageConfig,
  definitions: readonly TaskDefinition[],
): Promise<readonly Check[]> {
  return await Promise.all(
    [...usesOf(stage, definitions)].map(async ([name, references]) => {
      const { host, repository } = referenceOf(name);
      const { account: registryId, region } = parseRegistry(host, stage) ?? stage;
      const what = `lifecycle of ${repository}`;
      try {
        const ecr = await clients.ecr(region);
        const place = { registryId, repositoryName: repository };
        const { lifecyclePolicyText = '{}' } = await ecr.send(new GetLifecyclePolicyCommand(place));
        const images = await catalogueOf(ecr, place);
        const inUse = images
          .filter(({ imageDigest = '', imageTags = [] }) =>
            [imageDigest, ...imageTags].some((one) => references.has(one)),
          )
          .map(({ imageDigest = '' }) => imageDigest);
        const found = expiring(lifecyclePolicyText, images, new Set(inUse), Date.now());
        if (found.length === 0) return good(what);
        const why = `${found.map(({ text }) => text).join('; ')}. Add a rule with a lower priority number that keeps these images.`;
        return found.some(({ isSoon }) => isSoon) ? bad(what, why) : warning(what, why);
      } catch (error) {
        return error instanceof LifecyclePolicyNotFoundException
          ? good(what)
          : unknown(what, messageOf(error));
      }
    }),
  );
}

/** Returns the tags and digests in use, by host/repository. */
function usesOf(
  stage: StageConfig,
  definitions: readonly TaskDefinition[],
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { image = '' } of definitions.flatMap(({ containerDefinitions = [] }) => containerDefinitions)) {
    const { host, repository, reference } = referenceOf(image);
    if (!parseRegistry(host, stage)) continue;
    const name = `${host}/${repository}`;
    found.set(name, (found.get(name) ?? new Set()).add(reference));
  }
  return found;
}
