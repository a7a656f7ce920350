/** Carries out the steps of plans. This class makes no decisions, and each step may be repeated. */

import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { reasonOf, statusOf, unlessStatus } from '../../docker-engine/failures.ts';
import { openLog } from '../../docker-engine/logs.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { unlessAborted } from '../../lifetime/deadline.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Actual } from '../plan/actual.ts';
import type { Outcome } from '../plan/effects.ts';
import { candidateName, type NodeContainer } from '../plan/node-container.ts';
import type { ContainerStep, Step, World } from '../plan/world.ts';
import { copyContainer, copyWithLocalLog } from './copy-container.ts';
import { createBody, LOCAL_LOG, type LogConfig } from './create-body.ts';
import type { Owner } from './labels.ts';
import { Looking } from './look.ts';
import { ensureNetwork } from './network.ts';
import type { NodeImages } from './node-images.ts';
import { removeOldImages } from './old-images.ts';
import type { UsedImages } from './used-images.ts';

export interface NodeDockerOptions {
  readonly docker: Docker;
  readonly owner: Owner;
  readonly images: NodeImages;
  readonly used: UsedImages;
  /** How many images of a repository stay after a replacement; undefined keeps all. */
  readonly keepImages: number | undefined;
  readonly logOf: (node: string) => Promise<LogConfig>;
  readonly log: Logger;
}

type StepOf<Do extends Step['do']> = Extract<Step, { do: Do }>;

const LOOK = 10_000;
const WORK = 60_000;
/** Seconds between SIGTERM and SIGKILL. */
const GRACE = 30;
/** How many containers are created or started at the same time, and how many registry requests run at the same time. */
const SIDE_BY_SIDE = 8;
const LAST_LINES = 20;

export class NodeDocker {
  readonly #options: NodeDockerOptions;
  readonly #looking: Looking;
  readonly #limit = pLimit(SIDE_BY_SIDE);
  /** Creates the network once, although several nodes may start at the same time. */
  readonly #oneNetwork = pLimit(1);
  readonly #oneCleaning = pLimit(1);
  readonly #questions = pLimit(SIDE_BY_SIDE);
  /** Nodes that log to this host because their log driver failed. */
  readonly #localLogs = new Set<string>();

  constructor(options: NodeDockerOptions) {
    this.#options = options;
    this.#looking = new Looking(options.docker, options.owner);
  }

  look(): Promise<Actual> {
    return this.#looking.look();
  }

  /** Asks the registries for the current digests of these images. */
  async currentDigests(images: readonly string[]): Promise<Map<string, string>> {
    const asked = images.map((image) =>
      this.#questions(async () => [image, await this.#options.images.current(image)] as const),
    );
    const found = await Promise.all(asked);
    return new Map(found.flatMap(([image, digest]) => (digest === undefined ? [] : [[image, digest]])));
  }

  /** @throws {ServiceError} `image.*`, `node.*`, `docker.*` */
  async carryOut(step: Step, world: World, signal: AbortSignal): Promise<Outcome> {
    const { docker } = this.#options;
    switch (step.do) {
      case 'pull':
        return { digest: await this.#pull(step, world, signal) };
      case 'create':
        return { id: await this.#limit(() => this.#create(step, world)) };
      case 'start':
        await this.#limit(() => this.#start(step, world));
        return {};
      case 'stop':
        await docker.stop(step.container, GRACE);
        return {};
      case 'restart':
        await docker.call('restart', LOOK + GRACE * 1000, (abortSignal, api) =>
          api.getContainer(step.container).restart({ t: GRACE, abortSignal }),
        );
        return {};
      case 'keep':
        await docker.call('update', LOOK, (abortSignal, api) =>
          api.getContainer(step.container).update({ RestartPolicy: { Name: 'unless-stopped' }, abortSignal }),
        );
        return {};
      case 'copy':
        return { id: await this.#limit(() => copyContainer(docker, step.node, step.container)) };
      case 'promote':
        await this.#promote(step);
        void this.#removeOldImages(step, world);
        return {};
      case 'remove':
        await this.#remove(step.container);
        return {};
      case 'reject':
        return await this.#lastWords(step.container, signal);
    }
  }

  /** If the pull fails and the node has no container, falls back to the image that is already on this host. */
  async #pull({ node, image }: StepOf<'pull'>, { actual }: World, signal: AbortSignal): Promise<string> {
    const { images, log } = this.#options;
    try {
      return await images.pull(image, signal);
    } catch (error) {
      const hasContainer = actual.of(node).length > 0;
      const digest = hasContainer ? undefined : await images.onHost(image);
      if (digest === undefined) throw error;
      log.warn(
        { node, image, digest, error },
        'the image was not pulled; the node gets the one that this host has',
      );
      return digest;
    }
  }

  async #create({ node, hash, digest }: StepOf<'create'>, world: World): Promise<DockerId> {
    const { docker, owner, images, used, logOf } = this.#options;
    const wanted = world.wanted.get(node);
    if (wanted?.hash !== hash) throw new ServiceError('node.changed', { node });
    const { spec } = wanted;
    await this.#oneNetwork(() => ensureNetwork(docker, owner));
    const log = this.#localLogs.has(node) ? LOCAL_LOG : await logOf(node);
    const image = images.pinned(spec.image, digest);
    const labelId = randomUUID();
    const _body = createBody(owner, { spec, hash, digest, image, labelId, network: owner.app, log });
    const _query = { name: candidateName(node) };
    const repository = images.repositoryOf(spec.image);
    if (repository !== undefined) await used.add(`${repository}@${digest}`);
    const made = await docker.call('create', WORK, (abortSignal, api) =>
      api.createContainer({ _query, _body, abortSignal } as object),
    );
    return made.id as DockerId;
  }

  async #start({ node, container }: ContainerStep, world: World): Promise<void> {
    const { docker, log } = this.#options;
    try {
      await docker.start(container);
    } catch (error) {
      const why = statusOf(error) === undefined ? '' : reasonOf((error as Error).cause);
      const one = world.actual.get(container);
      if (!one || !/logging driver/i.test(why) || !(await this.#canLogHere(one, world))) throw error;
      log.warn({ node, why }, 'a node gets its log on this host, because its log driver does not start');
      throw new ServiceError('node.no_log_driver', { node, why });
    }
  }

  /**
   * Makes way for a container of the node that logs to this host. An accepted one stays until it has a copy, because its
   * image may no longer be available.
   * @returns whether there can be such a container
   */
  async #canLogHere({ id, node, rank, hash }: NodeContainer, { wanted }: World): Promise<boolean> {
    if (rank === 'current') return await copyWithLocalLog(this.#options.docker, node, id).catch(() => false);
    if (wanted.get(node)?.hash !== hash || this.#localLogs.has(node)) return false;
    this.#localLogs.add(node);
    await this.#remove(id);
    return true;
  }

  async #promote({ node, container }: ContainerStep): Promise<void> {
    const rename = { name: node };
    await this.#options.docker.call('rename', LOOK, (abortSignal, api) =>
      api.getContainer(container).rename({ ...rename, abortSignal }),
    );
    // The next container tries the wanted log driver again.
    this.#localLogs.delete(node);
  }

  /** Runs after a replacement. No step waits for it. Never rejects. */
  async #removeOldImages({ node }: ContainerStep, { wanted }: World): Promise<void> {
    const { docker, images, used, keepImages: keep, log } = this.#options;
    const { image } = wanted.get(node)?.spec ?? {};
    const repository = image === undefined ? undefined : images.repositoryOf(image);
    if (keep === undefined || repository === undefined) return;
    const keeping = { repository, keep, used: used.names };
    await this.#oneCleaning(() => removeOldImages(docker, keeping, log)).catch((error: unknown) =>
      log.warn({ repository, error }, 'could not remove old images of a node'),
    );
  }

  /** Removes the container but keeps its volumes, because the service does not know what they contain. */
  async #remove(container: DockerId): Promise<void> {
    await this.#options.docker.call('remove', WORK, async (abortSignal, api) => {
      const one = api.getContainer(container);
      const removed = one.remove({ force: true, v: false, abortSignal }).catch(async (error: unknown) => {
        if (statusOf(error) !== 409) throw error;
        await one.wait({ condition: 'removed', abortSignal });
      });
      await removed.catch(unlessStatus(404));
    });
  }

  /**
   * Collects the exit code and the last lines of a rejected container. If the lines cannot be read, the container is
   * rejected without them.
   */
  async #lastWords(container: DockerId, signal: AbortSignal): Promise<Outcome> {
    const { docker } = this.#options;
    const lastLines: string[] = [];
    const late = AbortSignal.any([signal, AbortSignal.timeout(LOOK)]);
    const read = async () => {
      for await (const { text } of await openLog(docker, container, { tail: LAST_LINES }, late))
        lastLines.push(text);
    };
    await unlessAborted(read(), late).catch(() => {});
    const found = await docker.inspect(container);
    return found && !found.running ? { exitCode: found.exitCode, lastLines } : { lastLines };
  }
}
