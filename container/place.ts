/** The first process and the ports of a container, according to Docker. They do not change while it runs. */

import { readlink } from 'node:fs/promises';
import type { Docker } from '../docker-engine/docker.ts';
import type { DockerId } from '../docker-engine/docker-id.ts';

export interface Place {
  /** The id of its first process. */
  readonly pid: number;
  /** Identifies its network namespace. */
  readonly network: string;
  /**
   * The IPv4 address at which this host reaches it. If it shares another container's network, that container's address.
   */
  readonly address: string | undefined;
  /** The published container ports, such as `32262/tcp`. */
  readonly ports: readonly string[];
}

/** Caches the places of containers for as long as the containers exist. */
export class Places {
  readonly #docker: Pick<Docker, 'inspect'>;
  readonly #known = new WeakMap<object, Place>();

  constructor(docker: Pick<Docker, 'inspect'>) {
    this.#docker = docker;
  }

  /**
   * @returns undefined if it does not run
   * @throws {ServiceError} `docker.*`
   * @throws Error when there is no such process
   */
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
