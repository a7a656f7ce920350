/** Keeps the managed nodes of this host, if a feed lists them. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Docker } from '../docker-engine/docker.ts';
import type { ImagePulls } from '../docker-engine/image-pulls.ts';
import type { ClaimedPorts } from '../host/claimed-ports.ts';
import { readHostId } from '../host/host-id.ts';
import type { Paths } from '../host/paths.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import type { Logger } from '../logging/logger.ts';
import type { Feed } from '../managed-nodes/feeds/feed.ts';
import { Nodes } from '../managed-nodes/nodes.ts';
import type { Settings } from '../settings/load.ts';
import { registryCredentials } from './registry-credentials.ts';

export interface KeepNodesOptions {
  readonly settings: Settings;
  readonly paths: Paths;
  readonly docker: Docker;
  readonly pulls: ImagePulls;
  readonly claimedPorts: ClaimedPorts;
  /** Tells systemd or the launcher how many nodes run. */
  readonly status: (text: string) => void;
  readonly log: Logger;
}

/** @returns undefined if there is no feed */
export async function keepNodes(
  root: Lifetime,
  { settings, paths, docker, pulls, claimedPorts, status, log }: KeepNodesOptions,
): Promise<Nodes | undefined> {
  const feed = await feedOf(settings, paths, log);
  if (!feed) return undefined;
  const credentials = registryCredentials(settings);
  return await Nodes.open(root, {
    feed,
    credentials: (reference) => credentials.for(reference),
    docker,
    pulls,
    claimedPorts,
    defaultRegistry: settings.DEFAULT_REGISTRY,
    hostId: await readHostId(paths.state),
    state: paths.nodes,
    keepImages: settings.NODES_KEEP_IMAGES,
    window: settings.NODES_UPDATE_WINDOW,
    onStop: settings.NODES_ON_STOP,
    status,
    log,
  });
}

/** Loads only the feed that this host uses. */
async function feedOf(settings: Settings, paths: Paths, log: Logger): Promise<Feed | undefined> {
  const { NODES_FEED, NODES_FILE } = settings;
  if (NODES_FEED === 'echostream') return await echoStreamFeed(settings, paths, log);
  if (NODES_FEED !== 'file' || NODES_FILE === undefined) return undefined;
  const { FileFeed } = await import('../managed-nodes/feeds/file-feed.ts');
  return new FileFeed(NODES_FILE);
}

async function echoStreamFeed(settings: Settings, { nodes }: Paths, log: Logger): Promise<Feed> {
  const { EchoStreamFeed } = await import('../managed-nodes/feeds/echostream-feed.ts');
  const { RememberedAppFile } = await import('../managed-nodes/feeds/remembered-app.ts');
  const app = { app: settings.APP ?? '', tenant: settings.TENANT ?? '' };
  return new EchoStreamFeed({
    ...app,
    remembered: new RememberedAppFile(join(nodes, 'echostream.json'), app, log),
    appsyncEndpoint: settings.APPSYNC_ENDPOINT ?? '',
    userPoolId: settings.USER_POOL_ID ?? '',
    clientId: settings.CLIENT_ID ?? '',
    username: settings.USER_NAME ?? '',
    password: settings.PASSWORD?.reveal() ?? '',
    logGroup: settings.LOG_GROUP_NAME ?? '',
    onAppRemoved: async () => {
      if (settings.ON_APP_REMOVED !== 'poweroff') return;
      log.fatal('the app was removed from EchoStream, so this host is powered off');
      await promisify(execFile)('systemctl', ['poweroff']);
    },
    log,
  });
}
