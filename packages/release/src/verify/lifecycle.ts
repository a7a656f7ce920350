/**
 * Reads a repository's lifecycle policy, and finds the images in use that it will remove. A running service needs its
 * image for every new task, so such an image must never expire.
 */

import type { ImageDetail } from '@aws-sdk/client-ecr';

interface Rule {
  readonly rulePriority: number;
  readonly selection: {
    readonly tagStatus: 'any' | 'tagged' | 'untagged';
    readonly tagPrefixList?: readonly string[];
    readonly tagPatternList?: readonly string[];
    /** `imageCountMoreThan`, or `sinceImagePushed` in days. */
    readonly countType: string;
    readonly countNumber: number;
  };
}

/**
 * @param images all images of the repository
 * @returns a sentence for each digest in use that a rule selects
 */
export function expiring(
  policy: string,
  images: readonly ImageDetail[],
  inUse: ReadonlySet<string>,
): readonly string[] {
  const { rules = [] }: { readonly rules?: readonly Rule[] } = JSON.parse(policy);
  const taken = new Set<string>();
  const found: string[] = [];
  for (const { rulePriority, selection } of rules.toSorted((a, b) => a.rulePriority - b.rulePriority)) {
    const time = ({ imagePushedAt }: ImageDetail) => imagePushedAt?.getTime() ?? 0;
    // An image belongs to the first rule that selects it.
    const selected = images
      .filter((image) => !taken.has(image.imageDigest ?? '') && isSelected(selection, image))
      .toSorted((a, b) => time(b) - time(a));
    for (const image of selected) {
      const digest = image.imageDigest ?? '';
      taken.add(digest);
      if (!inUse.has(digest)) continue;
      const { countType, countNumber } = selection;
      const place = selected.indexOf(image) + 1;
      const when =
        countType === 'imageCountMoreThan'
          ? `when ${countNumber} newer ones are there (it is number ${place})`
          : `${countNumber} days after it was pushed, which is ${dateOf(time(image) + countNumber * 86_400_000)}`;
      found.push(`rule ${rulePriority} removes ${digest.slice(0, 19)} ${when}`);
    }
  }
  return found;
}

function isSelected(
  { tagStatus, tagPrefixList, tagPatternList }: Rule['selection'],
  { imageTags = [] }: ImageDetail,
): boolean {
  if (tagStatus === 'any') return true;
  if (tagStatus === 'untagged') return imageTags.length === 0;
  const fits = (tag: string) =>
    (tagPrefixList ?? []).some((prefix) => tag.startsWith(prefix)) ||
    (tagPatternList ?? []).some((pattern) => wildcard(pattern).test(tag));
  return imageTags.some((tag) => fits(tag));
}

function wildcard(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}

function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
