/**
 * Creates a container that is like another one, from what Docker knows of that one. The environment of a node may contain
 * secrets, so it is never stored anywhere but in Docker.
 */

import { randomUUID } from 'node:crypto';
import type Dockerode from 'dockerode';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { copyName } from '../plan/node-container.ts';
import { LOCAL_LOG } from './create-body.ts';
import { labelsOfCopy } from './labels.ts';

const LOOK = 10_000;
const WORK = 60_000;

type Api = Pick<Docker, 'call'>;

/** The copy has the restart policy of the original, and the same volumes. */
export async function copyContainer(docker: Api, node: string, original: DockerId): Promise<DockerId> {
  return await create(docker, node, await inspect(docker, original));
}

/** @returns whether the log of the original goes elsewhere, so that a copy was created */
export async function copyWithLocalLog(docker: Api, node: string, original: DockerId): Promise<boolean> {
  const found = await inspect(docker, original);
  if (found.HostConfig.LogConfig?.Type === LOCAL_LOG.Type) return false;
  await create(docker, node, { ...found, HostConfig: { ...found.HostConfig, LogConfig: LOCAL_LOG } });
  return true;
}

function inspect(docker: Api, original: DockerId): Promise<Found> {
  return docker.call('inspect', LOOK, (abortSignal, api) =>
    api.getContainer(original).inspect({ abortSignal }),
  );
}

async function create(docker: Api, node: string, found: Found): Promise<DockerId> {
  const _query = { name: copyName(node) };
  const _body = copyBody(found);
  const made = await docker.call('create', WORK, (abortSignal, api) =>
    api.createContainer({ _query, _body, abortSignal } as object),
  );
  return made.id as DockerId;
}

type Found = Pick<Dockerode.ContainerInspectInfo, 'Config' | 'HostConfig' | 'Mounts'>;

export function copyBody({ Config, HostConfig, Mounts }: Found): Dockerode.ContainerCreateOptions {
  return {
    ...Config,
    Labels: labelsOfCopy(Config.Labels, randomUUID()),
    HostConfig: { ...HostConfig, Mounts: Mounts.map(mountOf) },
  };
}

/** Also names the volumes whose names Docker has chosen. */
function mountOf({ Type, Name, Source, Destination: Target, RW }: Found['Mounts'][number]) {
  return {
    Type,
    Source: Type === 'volume' ? Name : Source,
    Target,
    ReadOnly: !RW,
  } as Dockerode.MountSettings;
}
