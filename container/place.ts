/** Where the processes of a container run, and where its ports are, as Docker says. None of it changes while it runs. */

import { readlink } from 'node:fs/promises';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';

export interface Place {
  /** Of its first process. */
  readonly pid: number;
  /** Tells its network from all others. */
  readonly network: string;
  /** IPv4, by which this host reaches it; of one that shares another's network, that one's. */
  readonly address: string | undefined;
  /** The container ports that are published, such as `32262/tcp`. */
  readonly ports: readonly string[];
}

/** What is known of containers, for as long as somebody has these. */
export class Places {
  readonly #docker: Pick<Docker, 'inspect'>;
  readonly #known = new WeakMap<object, Place>();

  constructor(docker: Pick<Docker, 'inspect'>) {
    this.#docker = docker;
  }

  /** @returns undefined when it does not run @throws {ServiceError} `docker.*` @throws Error when there is no such process */
  async of(container: { readonly dockerId: DockerId | undefined }): Promise<Place | undefined> {
    const known = this.#known.get(container);
    if (known) return known;
    const found = container.dockerId && (await this.#docker.inspect(container.dockerId));
    if (!found?.running) return undefined;
    const owner = found.sharedWith === undefined ? found : await this.#docker.inspect(found.sharedWith);
    const { pid } = found;
    const network = await networkOf(pid);
    const place = { pid, network, address: owner?.address, ports: [...(owner?.ports.keys() ?? [])] };
    this.#known.set(container, place);
    return place;
  }
}

/** @throws Error when there is no such process */
export async function networkOf(pid: number): Promise<string> {
  return await readlink(`/proc/${pid}/ns/net`);
}
