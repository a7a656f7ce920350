/** The directories of one container, and the access rights to each. */

import { dirname, join } from 'node:path';
import {
  CONTAINER_USER,
  holdOwnDirectory,
  type OwnDirectory,
  removeTree,
  seenGone,
} from '../host/directories.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { DiskQuotas } from './disk-quotas.ts';

/** Absolute paths on the host. */
export interface ContainerDirectories {
  /** Only root can enter it. */
  readonly own: string;
  /** The container sees it read-only. */
  readonly mappings: string;
  /** The user's files, which the container sees read-write; owned by uid 1000. */
  readonly userConfig: string;
  /** Contains the descriptor socket. */
  readonly sockets: string;
  readonly ownSockets: string;
  readonly cloudStorage: string;
}

/** @param id a container id, or the placeholder for one */
export function directoriesOf(paths: Paths, id: string): ContainerDirectories {
  const own = join(paths.containers, id);
  const ownSockets = join(paths.temporary, id);
  return {
    own,
    mappings: join(own, 'containerResourceMappings'),
    userConfig: join(own, 'userConfigs/unpacked_configs'),
    ownSockets,
    sockets: join(ownSockets, 'sockets'),
    cloudStorage: join(paths.cloudStorage, id),
  };
}

export interface HeldWith {
  readonly quotas: Pick<DiskQuotas, 'hold' | 'adopt' | 'give'>;
  readonly config: {
    /** Throws while the user's files must not be removed. */
    throwIfUnsaved(): void;
  };
}

/**
 * Creates the directories, which are removed when the lifetime ends. The modes suit uid 1000 in the container.
 * Directories that the container can write to, or that receive its files, belong to one quota project; those for the
 * service itself belong to none.
 * @param left by a crashed service
 * @returns the project, if the host has quotas
 */
export async function holdDirectories(
  lifetime: Lifetime,
  made: ContainerDirectories,
  { quotas, config }: HeldWith,
  left?: { readonly project?: number },
): Promise<number | undefined> {
  const isLeft = left !== undefined;
  const project = isLeft ? left.project : await quotas.hold(lifetime);
  if (isLeft && project !== undefined) await quotas.adopt(lifetime, project);
  const mayGo = () => config.throwIfUnsaved();
  const hold = (directory: OwnDirectory) => holdOwnDirectory(lifetime, { ...directory, isLeft });
  await hold({ path: made.own, mode: 0o700, mayGo });
  await hold({ path: made.mappings, mode: 0o755 });
  await hold({ path: dirname(made.userConfig), mode: 0o755, mayGo });
  await hold({ path: made.userConfig, mode: 0o700, owner: CONTAINER_USER, mayGo });
  await hold({ path: made.ownSockets, mode: 0o700 });
  await hold({ path: made.sockets, mode: 0o755 });
  await removeCloudStorageAfter(lifetime, made.cloudStorage);
  if (!isLeft) await quotas.give(project, [dirname(made.userConfig), made.ownSockets]);
  return project;
}

/** dockerd creates this directory for a bind mount that old task definitions still contain. */
async function removeCloudStorageAfter(lifetime: Lifetime, path: string): Promise<void> {
  await lifetime.defer(`removing ${path}`, async () => {
    await removeTree(path);
    await seenGone(path);
  });
}

/** Removes the directories that a crashed service left of a container. */
export async function removeDirectories(paths: Paths, id: string): Promise<void> {
  const { own, ownSockets, cloudStorage } = directoriesOf(paths, id);
  for (const path of [own, ownSockets, cloudStorage]) await removeTree(path);
}
