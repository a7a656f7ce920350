/** Resolves image tags to their current digests in ECR. */

import {
  DescribeImagesCommand,
  ImageNotFoundException,
  RepositoryNotFoundException,
} from '@aws-sdk/client-ecr';
import { type ReleaseConfig, tagsOf } from '../config/read.ts';
import { registryOf } from '../config/registry.ts';
import type { ImageConfig } from '../config/schema.ts';
import { ReleaseError } from '../errors.ts';
import type { Images, ResolvedImage } from '../release/plan.ts';
import type { Clients } from './clients.ts';

/** The repository exists, but the tag does not. */
export class MissingImage extends ReleaseError {}

/** @returns `host/repository` */
export function repositoryOf({ stage }: ReleaseConfig, image: ImageConfig): string {
  return `${registryOf(stage, image).host}/${image.repository}`;
}

/** @throws ReleaseError usage when ECR does not have an image */
export async function resolveImages(clients: Clients, config: ReleaseConfig): Promise<Images> {
  const used = imagesIn(config);
  const resolved = await Promise.all(
    used.map(async (name) => [name, await resolveImage(clients, config, name)] as const),
  );
  return Object.fromEntries(resolved);
}

/** Names of the images that the containers of the release use. */
export function imagesIn({ services = {}, scheduled = {}, tasks = {} }: ReleaseConfig): readonly string[] {
  const users = [
    ...Object.values(services),
    ...Object.values(scheduled),
    ...(tasks.before ?? []),
    ...(tasks.after ?? []),
  ];
  const names = users.flatMap(({ containers = {} }) => Object.values(containers).map(({ image }) => image));
  return [...new Set(names)].filter((name) => name !== undefined);
}

/** @throws ReleaseError usage when ECR does not have the image */
export async function resolveImage(
  clients: Clients,
  config: ReleaseConfig,
  name: string,
): Promise<ResolvedImage> {
  const image = imageOf(config, name);
  const tag = image.tag ?? tagsOf(config)[0];
  if (tag === undefined)
    throw new ReleaseError(
      'usage',
      `The image ${name} has no "tag", and the stage ${config.stage.name} has no "tags".`,
    );
  const digest = await digestOf(clients, config, name, tag);
  const repository = repositoryOf(config, image);
  return { reference: image.pin === false ? `${repository}:${tag}` : `${repository}@${digest}`, digest };
}

export async function digestOf(
  clients: Clients,
  config: ReleaseConfig,
  name: string,
  tag: string,
): Promise<string> {
  const image = imageOf(config, name);
  const { repository } = image;
  const { account, region } = registryOf(config.stage, image);
  try {
    const command = new DescribeImagesCommand({
      registryId: account,
      repositoryName: repository,
      imageIds: [{ imageTag: tag }],
    });
    const { imageDetails = [] } = await (await clients.ecr(region)).send(command);
    const digest = imageDetails[0]?.imageDigest;
    if (digest !== undefined) return digest;
  } catch (error) {
    if (error instanceof RepositoryNotFoundException)
      throw new ReleaseError(
        'usage',
        `The account ${account} has no repository ${repository} in ${region} for the image ${name}.`,
      );
    if (!(error instanceof ImageNotFoundException)) throw error;
  }
  throw new MissingImage(
    'usage',
    `${repository} has no image with the tag ${tag}. Push it with "ecs-release push".`,
  );
}

/** @throws ReleaseError usage when the configuration has no such image */
export function imageOf({ images = {} }: ReleaseConfig, name: string): ImageConfig {
  const image = images[name];
  if (image) return image;
  const known = Object.keys(images).join(', ') || 'none';
  throw new ReleaseError('usage', `The configuration has no image "${name}". It has: ${known}.`);
}
