/** Carries out the steps of plans. Nothing here decides anything, and each step may be repeated. */

import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import type { Docker } from '../../docker-engine/docker.ts';
import type { DockerId } from '../../docker-engine/docker-id.ts';
import { reasonOf, statusOf, unlessStatus } from '../../docker-engine/failures.ts';
import { openLog } from '../../docker-engine/logs.ts';
import { ServiceError } from '../../errors/service-error.ts';
import { unlessAborted } from '../../lifetime/deadline.ts';
import type { Logger } from '../../logging/logger.ts';
import type { Outcome } from '../plan/effects.ts';
import {
  type Actual,
  type ContainerStep,
  candidateName,
  type NodeContainer,
  type Step,
  type World,
} from '../plan/world.ts';
import { createBody, LOCAL_LOG, type LogConfig } from './create-body.ts';
import type { Owner } from './labels.ts';
import { Looking } from './look.ts';
import { ensureNetwork } from './network.ts';
import type { NodeImages } from './node-images.ts';
import { removeOldImages } from './old-images.ts';

export interface NodeDockerOptions {
  readonly docker: Docker;
  readonly owner: Owner;
  readonly images: NodeImages;
  /** Images of a repository that stay after a roll; undefined: all. */
  readonly keepImages: number | undefined;
  /** Where the output of a node goes. */
  readonly logOf: (node: string) => Promise<LogConfig>;
  readonly log: Logger;
}

type StepOf<Do extends Step['do']> = Extract<Step, { do: Do }>;

const LOOK = 10_000;
const WORK = 60_000;
/** Seconds that a program has after SIGTERM. */
const GRACE = 30;
/** Containers that are made or started at a time, and questions to registries. */
const SIDE_BY_SIDE = 8;
const LAST_LINES = 20;
const MOST_RECENT = 1000;

export class NodeDocker {
  readonly #options: NodeDockerOptions;
  readonly #looking: Looking;
  readonly #limit = pLimit(SIDE_BY_SIDE);
  /** Two nodes that come up together would each make the network. */
  readonly #oneNetwork = pLimit(1);
  readonly #oneCleaning = pLimit(1);
  readonly #questions = pLimit(SIDE_BY_SIDE);
  /** What nodes were made from, the last one first. */
  #recent: readonly string[] = [];
  /** Nodes whose output could not go where it should. */
  readonly #localLogs = new Set<string>();

  constructor(options: NodeDockerOptions) {
    this.#options = options;
    this.#looking = new Looking(options.docker, options.owner);
  }

  look(): Promise<Actual> {
    return this.#looking.look();
  }

  /** The digests that the registries have now of these images. */
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

  /** Where nothing of the node runs, an image that this host has already is better than none. */
  async #pull({ node, image }: StepOf<'pull'>, { actual }: World, signal: AbortSignal): Promise<string> {
    const { images, log } = this.#options;
    try {
      return await images.pull(image, signal);
    } catch (error) {
      const hasContainer = actual.containers.some((one) => one.node === node);
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
    const { docker, owner, images, logOf } = this.#options;
    const wanted = world.wanted.get(node);
    if (wanted?.hash !== hash) throw new ServiceError('node.changed', { node });
    const { spec } = wanted;
    await this.#oneNetwork(() => ensureNetwork(docker, owner));
    const log = this.#localLogs.has(node) ? LOCAL_LOG : await logOf(node);
    const image = images.pinned(spec.image, digest);
    const labelId = randomUUID();
    const _body = createBody(owner, { spec, hash, digest, image, labelId, network: owner.app, log });
    const _query = { name: candidateName(node) };
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
      const one = world.actual.containers.find(({ id }) => id === container);
      if (!/logging driver/i.test(why) || !this.#canBeMadeAgain(one, world)) throw error;
      this.#localLogs.add(node);
      await this.#remove(container);
      log.warn({ node, why }, 'a node gets its log on this host, because its log driver does not start');
      throw new ServiceError('node.no_log_driver', { node, why });
    }
  }

  /** What it was made from is known. */
  #canBeMadeAgain(one: NodeContainer | undefined, { wanted }: World): boolean {
    return one !== undefined && wanted.get(one.node)?.hash === one.hash && !this.#localLogs.has(one.node);
  }

  async #promote({ node, container }: ContainerStep): Promise<void> {
    const rename = { name: node };
    await this.#options.docker.call('rename', LOOK, (abortSignal, api) =>
      api.getContainer(container).rename({ ...rename, abortSignal }),
    );
    // The next one gets its log where it belongs.
    this.#localLogs.delete(node);
  }

  /** After a roll, when nothing waits for it. Never rejects. */
  async #removeOldImages({ node, container }: ContainerStep, { wanted, actual }: World): Promise<void> {
    const { docker, images, keepImages: keep, log } = this.#options;
    const { image = '' } = wanted.get(node)?.spec ?? {};
    const repository = images.repositoryOf(image);
    const digest = actual.containers.find(({ id }) => id === container)?.digest;
    if (keep === undefined || repository === undefined || digest === undefined) return;
    const pinned = images.pinned(image, digest);
    this.#recent = [pinned, ...this.#recent.filter((one) => one !== pinned)].slice(0, MOST_RECENT);
    const keeping = { repository, keep, recent: this.#recent };
    await this.#oneCleaning(() => removeOldImages(docker, keeping, log)).catch((error: unknown) =>
      log.warn({ repository, error }, 'old images of a node are not removed'),
    );
  }

  /** Not its volumes: nobody else knows what is in them. */
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

  /** Of a container that is rejected. Without them it is rejected all the same. */
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
