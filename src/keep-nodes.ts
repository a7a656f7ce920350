/** Keeps the managed nodes of this host, where a feed says which there are to be. */

import type { Docker } from '../docker-engine/docker.ts';
import type { ImagePulls } from '../docker-engine/image-pulls.ts';
import { readHostId } from '../host/host-id.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import { FileFeed } from '../managed-nodes/feeds/file-feed.ts';
import { Nodes } from '../managed-nodes/nodes.ts';
import type { Settings } from '../settings/load.ts';

export interface KeepNodesOptions {
  readonly settings: Settings;
  readonly paths: Paths;
  readonly docker: Docker;
  readonly pulls: ImagePulls;
  /** Tells whoever watches the service how many nodes run. */
  readonly status: (text: string) => void;
  readonly log: Logger;
}

/** @returns undefined where there is no feed */
export async function keepNodes(
  root: Lifetime,
  { settings, paths, docker, pulls, status, log }: KeepNodesOptions,
): Promise<Nodes | undefined> {
  const { NODES_FILE: file, NODES_FEED: feed } = settings;
  if (feed === 'none' || file === undefined) return undefined;
  return await Nodes.open(root, {
    feed: new FileFeed(file),
    docker,
    pulls,
    defaultRegistry: settings.DEFAULT_REGISTRY,
    hostId: await readHostId(paths.state),
    state: paths.nodes,
    onStop: settings.NODES_ON_STOP,
    status,
    log,
  });
}
