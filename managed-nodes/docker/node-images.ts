/** The images of nodes: each is asked for once however many nodes wait for it, and no more than three at a time are pulled. */

import pLimit from 'p-limit';
import type { Docker } from '../../docker-engine/docker.ts';
import { unlessStatus } from '../../docker-engine/failures.ts';
import type { ImagePulls } from '../../docker-engine/image-pulls.ts';
import { type ImageReference, namesRegistry, referenceOf } from '../../docker-engine/image-reference.ts';
import type { RegistryAuth } from '../../docker-engine/pull-image.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Logger } from '../../logging/logger.ts';

export interface NodeImagesOptions {
  readonly docker: Pick<Docker, 'call'>;
  readonly pulls: Pick<ImagePulls, 'follow'>;
  /** Where images are whose names do not say it; undefined: on this host alone. */
  readonly defaultRegistry: string | undefined;
  /** What a registry is to be shown; undefined: nothing. */
  readonly credentials: (reference: ImageReference) => Promise<RegistryAuth | undefined>;
  readonly log: Logger;
}

const MOST_PULLS = 3;
/** Milliseconds. */
const LOOK = 10_000;
const ASK = 30_000;
/** Without progress for so long, a pull ends: it holds one of few places, and its node. */
const STALLED = 5 * 60_000;

export class NodeImages {
  readonly #options: NodeImagesOptions;
  readonly #underWay = new Map<string, Promise<string>>();
  readonly #limit = pLimit(MOST_PULLS);

  constructor(options: NodeImagesOptions) {
    this.#options = options;
  }

  /** Has the image on this host. @returns its digest @throws {ServiceError} `image.*`, `docker.*` */
  pull(image: string, signal: AbortSignal): Promise<string> {
    const running = this.#underWay.get(image) ?? this.#limit(() => this.#pull(image, signal));
    this.#underWay.set(image, running);
    const forget = () => this.#underWay.delete(image);
    running.then(forget, forget);
    return running;
  }

  async #pull(image: string, signal: AbortSignal): Promise<string> {
    const reference = this.#inRegistry(image);
    if (!reference) return await this.#localId(image);
    const registryAuth = await this.#options.credentials(reference);
    const stalled = new AbortController();
    const wait = () => setTimeout(() => stalled.abort(), STALLED);
    let timer = wait();
    const leave = AbortSignal.any([signal, stalled.signal]);
    try {
      for await (const news of await this.#options.pulls.follow({ reference, registryAuth }, leave)) {
        clearTimeout(timer);
        timer = wait();
        if (news.event === 'failed') throw news.data;
        if (news.event === 'pulled') return news.data.digest;
      }
    } finally {
      clearTimeout(timer);
    }
    signal.throwIfAborted();
    throw new ServiceError('image.not_pulled', { image, why: 'it made no progress for five minutes' });
  }

  /**
   * What the image is called when only that of this digest is meant, whatever its tag stands for.
   * @param digest that `pull` returned
   */
  pinned(image: string, digest: string): string {
    const reference = this.#inRegistry(image);
    return reference ? `${reference.name}@${digest}` : digest;
  }

  /** Undefined: it is on this host alone, or has no valid name. */
  repositoryOf(image: string): string | undefined {
    return image === '' ? undefined : this.#inRegistry(image)?.name;
  }

  /** The digest that this host has of it, if it has any. */
  async onHost(image: string): Promise<string | undefined> {
    const reference = this.#inRegistry(image);
    if (!reference) return await this.#localId(image).catch(() => undefined);
    const found = await this.#inspect(reference.text);
    const prefix = `${reference.name}@`;
    return found?.RepoDigests?.find((one) => one.startsWith(prefix))?.slice(prefix.length);
  }

  /**
   * The digest that a tag stands for in its registry now.
   * @returns undefined when that cannot change, or the registry does not say it
   */
  async current(image: string): Promise<string | undefined> {
    try {
      const reference = this.#inRegistry(image);
      if (!reference) return await this.onHost(image);
      if (reference.version.startsWith('sha256:')) return undefined;
      const authconfig = await this.#options.credentials(reference);
      const { Descriptor } = await this.#options.docker.call('inspect_distribution', ASK, (_, api) =>
        api.getImage(reference.text).distribution(authconfig && { authconfig }),
      );
      return Descriptor.digest;
    } catch (error) {
      this.#options.log.warn(
        { image, why: messageOf(error) },
        'the registry does not say which image a tag stands for',
      );
      return undefined;
    }
  }

  #inRegistry(image: string): ImageReference | undefined {
    const reference = referenceOf(image);
    const { defaultRegistry } = this.#options;
    if (namesRegistry(reference)) return reference;
    return defaultRegistry === undefined ? undefined : referenceOf(`${defaultRegistry}/${image}`);
  }

  async #localId(image: string): Promise<string> {
    const found = await this.#inspect(image);
    if (!found) throw new ServiceError('image.missing', { image });
    return found.Id;
  }

  #inspect(image: string) {
    return this.#options.docker.call('inspect_image', LOOK, (_, api) =>
      api.getImage(image).inspect().catch(unlessStatus(404)),
    );
  }
}
