/** Lists the images of a repository in ECR, and changes their tags. */

import {
  BatchDeleteImageCommand,
  BatchGetImageCommand,
  type ECRClient,
  GetAuthorizationTokenCommand,
  ImageAlreadyExistsException,
  type ImageDetail,
  PutImageCommand,
  paginateDescribeImages,
} from '@aws-sdk/client-ecr';
import { ReleaseError } from '../errors.ts';

/** A repository, in the registry of any account. */
export interface Repository {
  readonly registryId: string;
  readonly repositoryName: string;
}

/** @returns the images, newest first */
export async function catalogueOf(client: ECRClient, place: Repository): Promise<readonly ImageDetail[]> {
  const all: ImageDetail[] = [];
  for await (const { imageDetails = [] } of paginateDescribeImages({ client }, { ...place }))
    all.push(...imageDetails);
  const time = ({ imagePushedAt }: ImageDetail) => imagePushedAt?.getTime() ?? 0;
  return all.toSorted((a, b) => time(b) - time(a));
}

/** @param image a tag, or a digest such as sha256:… */
export async function addTag(ecr: ECRClient, place: Repository, image: string, tag: string): Promise<void> {
  const { imageManifest, imageManifestMediaType } = await manifestOf(ecr, place, image);
  const type = imageManifestMediaType === undefined ? {} : { imageManifestMediaType };
  try {
    await ecr.send(new PutImageCommand({ ...place, imageManifest, ...type, imageTag: tag }));
  } catch (error) {
    // The image already has this tag.
    if (!(error instanceof ImageAlreadyExistsException)) throw error;
  }
}

/**
 * @param image a tag, or a digest such as sha256:…
 * @throws ReleaseError usage when there is no such image
 */
export async function manifestOf(
  ecr: ECRClient,
  place: Repository,
  image: string,
): Promise<{ readonly imageManifest: string; readonly imageManifestMediaType: string | undefined }> {
  const id = image.startsWith('sha256:') ? { imageDigest: image } : { imageTag: image };
  const { images = [] } = await ecr.send(new BatchGetImageCommand({ ...place, imageIds: [id] }));
  const [found] = images;
  if (found?.imageManifest === undefined)
    throw new ReleaseError(
      'usage',
      `${place.repositoryName} has no image ${image}. "ecs-release images list" lists its images.`,
    );
  const { imageManifest, imageManifestMediaType } = found;
  return { imageManifest, imageManifestMediaType };
}

/**
 * Moves a tag from its image to the one that was pushed before it.
 * @returns both digests
 * @throws ReleaseError usage when there is no such tag, or no older image
 */
export async function moveTagBack(
  ecr: ECRClient,
  place: Repository,
  tag: string,
  isDry: boolean,
): Promise<{ readonly from: string; readonly to: string }> {
  const all = await catalogueOf(ecr, place);
  const at = all.findIndex(({ imageTags = [] }) => imageTags.includes(tag));
  const { repositoryName } = place;
  if (at < 0) throw new ReleaseError('usage', `${repositoryName} has no image with the tag ${tag}.`);
  const [from, to] = [all[at]?.imageDigest ?? '', all[at + 1]?.imageDigest];
  if (to === undefined)
    throw new ReleaseError(
      'usage',
      `${repositoryName} has no image older than ${from}, which has the tag ${tag}.`,
    );
  if (!isDry) await addTag(ecr, place, to, tag);
  return { from, to };
}

/** @throws ReleaseError usage for an image's last tag, because ECR would delete the image with it */
export async function removeTag(ecr: ECRClient, place: Repository, imageTag: string): Promise<void> {
  const { repositoryName } = place;
  const image = (await catalogueOf(ecr, place)).find(({ imageTags = [] }) => imageTags.includes(imageTag));
  if (!image) throw new ReleaseError('usage', `${repositoryName} has no image with the tag ${imageTag}.`);
  if (image.imageTags?.length === 1)
    throw new ReleaseError(
      'usage',
      `${imageTag} is the last tag of ${image.imageDigest}, and ECR deletes an image with its last tag. Add another tag first.`,
    );
  const { failures = [] } = await ecr.send(
    new BatchDeleteImageCommand({ ...place, imageIds: [{ imageTag }] }),
  );
  const [failure] = failures;
  if (failure)
    throw new ReleaseError(
      'failed',
      `${repositoryName}:${imageTag} was not removed: ${failure.failureReason}`,
    );
}

/** Gets the credentials for `docker login`. They are valid for twelve hours. */
export async function passwordOf(
  ecr: ECRClient,
): Promise<{ readonly user: string; readonly password: string }> {
  const { authorizationData = [] } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const [{ authorizationToken = '' } = {}] = authorizationData;
  const [user = '', password = ''] = Buffer.from(authorizationToken, 'base64').toString().split(/:(.*)/s);
  return { user, password };
}
