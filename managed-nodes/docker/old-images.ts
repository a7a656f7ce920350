/**
 * Removes images that nodes no longer use. For each repository, the images that nodes used last stay, and so does every
 * image that a container on the host uses. Images that no node was created from belong to others.
 */

import type Dockerode from 'dockerode';
import type { Docker } from '../../docker-engine/docker.ts';
import { unlessStatus } from '../../docker-engine/failures.ts';
import type { Logger } from '../../logging/logger.ts';

/** Timeouts in milliseconds for listing and for removing. */
const LOOK = 10_000;
const WORK = 60_000;

type Image = Pick<Dockerode.ImageInfo, 'Id' | 'RepoTags' | 'RepoDigests'>;

export interface Keeping {
  /** The repository's name as Docker lists it. */
  readonly repository: string;
  /** The number of images of the repository that stay. */
  readonly keep: number;
  /** The images that nodes were created from, as `REPOSITORY@DIGEST`, newest first. */
  readonly used: readonly string[];
}

/** @param inUse the ids of the images that containers use */
export function oldImages(
  images: readonly Image[],
  { repository, keep, used }: Keeping,
  inUse: ReadonlySet<string>,
): Image[] {
  const ours = used.filter((name) => repositoryOf(name) === repository);
  const found = ours.flatMap((name) => images.find(({ RepoDigests }) => RepoDigests?.includes(name)) ?? []);
  return [...new Set(found)].slice(keep).filter(({ Id }) => !inUse.has(Id));
}

/** Strips the tag and the digest from an image name. */
function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^/]*$/, '');
}

/** If a removal fails, the image stays until the next replacement. */
export async function removeOldImages(
  docker: Pick<Docker, 'call'>,
  keeping: Keeping,
  log: Logger,
): Promise<void> {
  const { repository } = keeping;
  const images = await docker.call('list_images', LOOK, (abortSignal, api) =>
    api.listImages({ abortSignal }),
  );
  const containers = await docker.call('list_any', LOOK, (abortSignal, api) =>
    api.listContainers({ all: true, abortSignal }),
  );
  const inUse = new Set(containers.map(({ ImageID }) => ImageID));
  for (const { Id, RepoTags } of oldImages(images, keeping, inUse)) {
    const others = (RepoTags ?? []).some((name) => repositoryOf(name) !== repository);
    // An image that also has the name of another repository may be in use elsewhere.
    if (others) continue;
    // Without `force`, Docker does not remove an image with several tags by its id. Each name is removed, and Docker
    // deletes the image with the last one.
    const names = RepoTags?.length ? RepoTags : [Id];
    for (const name of names) {
      await docker.call('remove_image', WORK, (abortSignal, api) =>
        api.getImage(name).remove({ abortSignal }).catch(unlessStatus(404, 409)),
      );
    }
    log.info({ repository, image: Id }, 'removed an old image of a node');
  }
}
