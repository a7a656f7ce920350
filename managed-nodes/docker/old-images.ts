/**
 * Removes images that nodes have left behind: of each repository the newest ones stay, and all that some container is made
 * from, whoever made it.
 */

import type Dockerode from 'dockerode';
import type { Docker } from '../../docker-engine/docker.ts';
import { unlessStatus } from '../../docker-engine/failures.ts';
import type { Logger } from '../../logging/logger.ts';

/** Milliseconds: to list, and to remove. */
const LOOK = 10_000;
const WORK = 60_000;

type Image = Pick<Dockerode.ImageInfo, 'Id' | 'Created' | 'RepoTags' | 'RepoDigests'>;

export interface Keeping {
  /** With its registry. */
  readonly repository: string;
  /** How many images stay. */
  readonly keep: number;
  /** What nodes were made from, each `NAME@DIGEST`, the last one first. Many builds say nothing of when they were made. */
  readonly recent: readonly string[];
}

/** @param used ids of images that containers are made from */
export function oldImages(
  images: readonly Image[],
  { repository, keep, recent }: Keeping,
  used: ReadonlySet<string>,
): Image[] {
  const placeOf = ({ RepoDigests }: Image) => {
    const place = recent.findIndex((name) => RepoDigests?.includes(name));
    return place === -1 ? recent.length : place;
  };
  const isOfIt = ({ RepoTags, RepoDigests }: Image) =>
    [...(RepoTags ?? []), ...(RepoDigests ?? [])].some((name) => repositoryOf(name) === repository);
  const newest = images.filter(isOfIt).toSorted((a, b) => placeOf(a) - placeOf(b) || b.Created - a.Created);
  return newest.slice(keep).filter(({ Id }) => !used.has(Id));
}

/** What stands before the tag or digest. */
function repositoryOf(name: string): string {
  return name.replace(/@.*$/, '').replace(/:[^/]*$/, '');
}

/** A failure leaves an image, which the next roll removes. */
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
  const used = new Set(containers.map(({ ImageID }) => ImageID));
  for (const { Id, RepoTags } of oldImages(images, keeping, used)) {
    const others = (RepoTags ?? []).some((name) => repositoryOf(name) !== repository);
    // Under another repository's name it is somebody else's too.
    if (others) continue;
    // Without force Docker removes no image with several tags by its id; each name is removed, and the image with the last.
    const names = RepoTags?.length ? RepoTags : [Id];
    for (const name of names) {
      await docker.call('remove_image', WORK, (abortSignal, api) =>
        api.getImage(name).remove({ abortSignal }).catch(unlessStatus(404, 409)),
      );
    }
    log.info({ repository, image: Id }, 'removed an old image of a node');
  }
}
