/**
 * Creates a container that is like another one, from what Docker knows of that one. The environment of a node may contain
 * secrets, so it is never stored anywhere but in Docker.
 */

import { randomUUID } from 'node:crypto';
import type Dockerode from 'dockerode';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { copyName } from '../plan/node-container.ts';
import { labelsOfCopy } from './labels.ts';

const LOOK = 10_000;
const WORK = 60_000;

/** The copy has the restart policy of the original, and the same volumes. */
export async function copyContainer(
  docker: Pick<Docker, 'call'>,
  node: string,
  original: DockerId,
): Promise<DockerId> {
  const found = await docker.call('inspect', LOOK, (abortSignal, api) =>
    api.getContainer(original).inspect({ abortSignal }),
  );
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
