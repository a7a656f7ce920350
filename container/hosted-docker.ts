/** A Docker client that interprets the labels of hosted containers. */

import type { DockerEvent, Inspected, Listed } from '../docker-engine/answers.ts';
import type { CallObserver } from '../docker-engine/calls.ts';
import { Docker } from '../docker-engine/docker.ts';
import type { ContainerId } from './identity.ts';
import { InheritedLabels } from './inherited-labels.ts';
import { containerIdOf, filterOf, isHostedOn, type Role, roleOf } from './labels.ts';

/** A container with this host's label. */
export interface Hosted extends Pick<Listed, 'dockerId' | 'state' | 'health'> {
  readonly containerId: ContainerId | undefined;
  readonly role: Role | undefined;
}

export interface HostedEvent extends Omit<DockerEvent, 'labels'> {
  readonly containerId: ContainerId | undefined;
}

export class HostedDocker extends Docker {
  readonly #inherited = new InheritedLabels((image) => this.labelsOfImage(image));

  static override async open(socket: string, observe?: CallObserver): Promise<HostedDocker> {
    return new HostedDocker(socket, await Docker.client(socket), observe);
  }

  /** Like Docker's answer, but without the labels of this service that come from the image. */
  override async inspect(ref: string): Promise<Inspected | undefined> {
    const found = await super.inspect(ref);
    return found && { ...found, labels: await this.#inherited.remove(found.labels, found.image) };
  }

  /** All containers with this host's label, or the one with this container id. */
  async hosted(hostId: string, id?: ContainerId): Promise<Hosted[]> {
    const listed = await this.list(filterOf(hostId, id));
    const hosted = listed.map(async ({ dockerId, state, health, ...found }) => {
      const labels = await this.#inherited.remove(found.labels, found.image);
      const named = { dockerId, containerId: containerIdOf(labels), role: roleOf(labels) };
      return isHostedOn(labels, hostId) ? [{ ...named, state, health }] : [];
    });
    return (await Promise.all(hosted)).flat();
  }

  /** The events of this host's containers. The parameters are those of `events`. */
  async hostedEvents(
    hostId: string,
    since: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<HostedEvent>> {
    return named(await this.events(filterOf(hostId), since, signal));
  }
}

async function* named(events: AsyncIterable<DockerEvent>): AsyncGenerator<HostedEvent> {
  for await (const { labels, ...event } of events) yield { ...event, containerId: containerIdOf(labels) };
}
