/**
 * Lists what Docker has in one call: the containers of nodes, and the names and ports of all other containers. Each new
 * container that is still being checked costs one further call, or two in a hand-over.
 */

import type Dockerode from 'dockerode';
import { healthIn, type Labels } from '../../docker-engine/answers.ts';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { unlessStatus } from '../../docker-engine/failures.ts';
import { pathStat } from '../../docker-engine/path-stat.ts';
import { Actual } from '../plan/actual.ts';
import {
  candidateName,
  copyName,
  type HostPort,
  type NodeContainer,
  type Stranger,
} from '../plan/node-container.ts';
import { type Labelled, labelIdOf, type Owner, readLabels } from './labels.ts';

const PATIENCE = 10_000;

export class Looking {
  readonly #docker: Pick<Docker, 'call' | 'labelsOfImage'>;
  readonly #owner: Owner;
  /**
   * The label id that an image has, by image id. An image id stands for the image's whole content, so an entry stays
   * valid.
   */
  readonly #inherited = new Map<string, string | undefined>();

  constructor(docker: Pick<Docker, 'call' | 'labelsOfImage'>, owner: Owner) {
    this.#docker = docker;
    this.#owner = owner;
  }

  async look(): Promise<Actual> {
    const listed = await this.#docker.call('list_any', PATIENCE, (abortSignal, api) =>
      api.listContainers({ all: true, abortSignal }),
    );
    const containers: NodeContainer[] = [];
    const strangers: Stranger[] = [];
    for (const one of listed) {
      const own = await this.#own(one);
      if (own) containers.push(own);
      else strangers.push(...strangersIn(one));
    }
    return new Actual(containers, strangers);
  }

  async #own(one: Dockerode.ContainerInfo): Promise<NodeContainer | undefined> {
    const labelled = readLabels(this.#owner, one.Labels);
    if (!labelled || (await this.#isInherited(labelled, one.ImageID))) return undefined;
    const rank = rankOf(namesOf(one), labelled.node);
    if (!rank) return undefined;
    const { node, hash, digest, ports, handOverFile } = labelled;
    const id = one.Id as DockerId;
    const health = healthIn(one.Status);
    const found = { id, node, rank, hash, digest, ports, state: one.State, health } as const;
    return rank === 'candidate' ? await this.#inspected(found, handOverFile) : found;
  }

  async #isInherited({ labelId }: Labelled, image: string): Promise<boolean> {
    if (!this.#inherited.has(image)) {
      const labels: Labels = await this.#docker.labelsOfImage(image);
      this.#inherited.set(image, labelIdOf(labels));
    }
    return this.#inherited.get(image) === labelId;
  }

  async #inspected(one: NodeContainer, file: string | undefined): Promise<NodeContainer | undefined> {
    const found = await this.#docker.call('inspect', PATIENCE, (abortSignal, api) =>
      api.getContainer(one.id).inspect({ abortSignal }).catch(unlessStatus(404)),
    );
    if (!found) return undefined;
    const { StartedAt, FinishedAt, ExitCode: exitCode, Status: state } = found.State;
    return {
      ...one,
      state,
      started: Date.parse(StartedAt),
      ended: Date.parse(FinishedAt),
      exitCode,
      isKept: found.HostConfig.RestartPolicy?.Name === 'unless-stopped',
      handOver: file === undefined ? undefined : { file, isComplete: await this.#has(one.id, file) },
    };
  }

  /** A file that cannot be looked up counts as missing, so that this node does not hold back the others. */
  async #has(id: DockerId, path: string): Promise<boolean> {
    try {
      return (await pathStat(this.#docker, id, path)) !== undefined;
    } catch {
      return false;
    }
  }
}

/** Leaves out the link aliases, by which other containers know this one. */
function namesOf({ Names }: Dockerode.ContainerInfo): string[] {
  return Names.map((name) => name.slice(1)).filter((name) => !name.includes('/'));
}

/** A container that somebody has renamed no longer belongs to the node. */
function rankOf(names: readonly string[], node: string): NodeContainer['rank'] | undefined {
  if (names.includes(node)) return 'current';
  if (names.includes(copyName(node))) return 'copy';
  return names.includes(candidateName(node)) ? 'candidate' : undefined;
}

function strangersIn(one: Dockerode.ContainerInfo): Stranger[] {
  const ports = one.Ports.flatMap(({ IP: address, PublicPort: port, Type: protocol }): HostPort[] =>
    port === undefined ? [] : [{ port, protocol, address }],
  );
  return namesOf(one).map((name) => ({ id: one.Id as DockerId, name, ports }));
}
