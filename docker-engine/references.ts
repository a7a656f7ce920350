/** Looks up the containers, volumes and networks that a body names. */

import type { Labels } from './answers.ts';
import type { Docker } from './docker.ts';
import type { DockerId } from './docker-id.ts';
import { statusOf } from './failures.ts';

export interface KnownMount {
  /** `bind`, `volume`, `tmpfs`, … */
  readonly type: string;
  /** The name of a volume. */
  readonly name: string;
  readonly target: string;
  readonly isWritable: boolean;
}

export interface KnownContainer {
  readonly dockerId: DockerId;
  readonly labels: Labels;
  /** The namespaces that it shares, as they were requested. */
  readonly modes: Readonly<Record<string, string | undefined>>;
  readonly isPrivileged: boolean;
  /** The configuration that it was created with. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly mounts: readonly KnownMount[];
}

const LOOK = 10_000;

export class References {
  readonly #docker: Docker;
  readonly #containers = new Map<string, Promise<KnownContainer | undefined>>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** @param ref its docker id, the beginning of the docker id, or a name; repeated calls return the same container */
  async container(ref: string): Promise<KnownContainer | undefined> {
    const known = this.#containers.get(ref) ?? this.#look(ref);
    this.#containers.set(ref, known);
    return await known;
  }

  async #look(ref: string): Promise<KnownContainer | undefined> {
    const known = await this.#docker.inspect(ref);
    if (!known) return undefined;
    const { dockerId, labels } = known;
    const found = await this.#docker.call('inspect', LOOK, (abortSignal, api) =>
      api.getContainer(dockerId).inspect({ abortSignal }),
    );
    const { NetworkMode, PidMode, IpcMode, Privileged } = found.HostConfig;
    return {
      dockerId,
      labels,
      modes: { NetworkMode, PidMode, IpcMode },
      isPrivileged: Privileged ?? false,
      config: { ...found.HostConfig },
      mounts: found.Mounts.map(({ Type, Name = '', Destination, RW }) => ({
        type: Type,
        name: Name,
        target: Destination,
        isWritable: RW,
      })),
    };
  }

  async volume(name: string): Promise<{ readonly driver: string; readonly hasOptions: boolean } | undefined> {
    const found = await this.#docker.call('inspect_volume', LOOK, (abortSignal, api) =>
      api.getVolume(name).inspect({ abortSignal }).catch(unlessMissing),
    );
    return found && { driver: found.Driver, hasOptions: Object.keys(found.Options ?? {}).length > 0 };
  }

  async networkDriver(name: string): Promise<string | undefined> {
    const found = await this.#docker.call('inspect_network', LOOK, (_, api) =>
      api.getNetwork(encodeURIComponent(name)).inspect().catch(unlessMissing),
    );
    return found?.Driver;
  }
}

function unlessMissing(error: unknown): undefined {
  if (statusOf(error) !== 404) throw error;
}
