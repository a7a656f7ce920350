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

/** @returns the images, newest first */
export async function catalogueOf(
  client: ECRClient,
  repositoryName: string,
): Promise<readonly ImageDetail[]> {
  const all: ImageDetail[] = [];
  for await (const { imageDetails = [] } of paginateDescribeImages({ client }, { repositoryName }))
    all.push(...imageDetails);
  const time = ({ imagePushedAt }: ImageDetail) => imagePushedAt?.getTime() ?? 0;
  return all.toSorted((a, b) => time(b) - time(a));
}

/** @param image a tag, or a digest such as sha256:… */
export async function addTag(
  ecr: ECRClient,
  repositoryName: string,
  image: string,
  tag: string,
): Promise<void> {
  const id = image.startsWith('sha256:') ? { imageDigest: image } : { imageTag: image };
  const { images = [] } = await ecr.send(new BatchGetImageCommand({ repositoryName, imageIds: [id] }));
  const [found] = images;
  if (found?.imageManifest === undefined)
    throw new ReleaseError(
      'usage',
      `${repositoryName} has no image ${image}. "ecs-release images list" lists them.`,
    );
  const { imageManifest, imageManifestMediaType } = found;
  const type = imageManifestMediaType === undefined ? {} : { imageManifestMediaType };
  try {
    await ecr.send(new PutImageCommand({ repositoryName, imageManifest, ...type, imageTag: tag }));
  } catch (error) {
    // The image already has this tag.
    if (!(error instanceof ImageAlreadyExistsException)) throw error;
  }
}

/** @throws ReleaseError usage for an image's last tag, because ECR would delete the image with it */
export async function removeTag(ecr: ECRClient, repositoryName: string, imageTag: string): Promise<void> {
  const image = (await catalogueOf(ecr, repositoryName)).find(({ imageTags = [] }) =>
    imageTags.includes(imageTag),
  );
  if (!image) throw new ReleaseError('usage', `${repositoryName} has no image with the tag ${imageTag}.`);
  if (image.imageTags?.length === 1)
    throw new ReleaseError(
      'usage',
      `${imageTag} is the last tag of ${image.imageDigest}, and ECR deletes an image with its last tag. Give it another tag first.`,
    );
  const { failures = [] } = await ecr.send(
    new BatchDeleteImageCommand({ repositoryName, imageIds: [{ imageTag }] }),
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
