/**
 * Pulls the images of nodes. Nodes that need the same image share one pull, and at most three pulls run at the same
 * time.
 */

import pLimit from 'p-limit';
import type { Docker } from '../../docker-engine/docker.ts';
import { unlessStatus } from '../../docker-engine/failures.ts';
import type { ImagePulls } from '../../docker-engine/image-pulls.ts';
import {
  type ImageReference,
  listedName,
  namesRegistry,
  referenceOf,
} from '../../docker-engine/image-reference.ts';
import type { RegistryAuth } from '../../docker-engine/pull-image.ts';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Logger } from '../../logging/logger.ts';

export interface NodeImagesOptions {
  readonly docker: Pick<Docker, 'call'>;
  readonly pulls: Pick<ImagePulls, 'follow'>;
  /** The registry of images whose names contain none. If it is undefined, such images must be on this host. */
  readonly defaultRegistry: string | undefined;
  /** Returns the credentials for a registry; undefined if it needs none. */
  readonly credentials: (reference: ImageReference) => Promise<RegistryAuth | undefined>;
  readonly log: Logger;
}

const MOST_PULLS = 3;
/** Timeouts in milliseconds. */
const LOOK = 10_000;
const ASK = 30_000;
/** A pull without progress for this long ends, because it occupies one of the three places and delays its node. */
const STALLED = 5 * 60_000;

export class NodeImages {
  readonly #options: NodeImagesOptions;
  readonly #underWay = new Map<string, Promise<string>>();
  readonly #limit = pLimit(MOST_PULLS);

  constructor(options: NodeImagesOptions) {
    this.#options = options;
  }

  /**
   * Pulls the image, or finds it on this host if it has no registry.
   * @returns its digest
   * @throws {ServiceError} `image.*`, `docker.*`
   */
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
   * Returns the reference that names exactly the image with this digest, whatever its tag points to.
   * @param digest a digest that `pull` returned
   */
  pinned(image: string, digest: string): string {
    const reference = this.#inRegistry(image);
    return reference ? `${reference.name}@${digest}` : digest;
  }

  /** @returns the repository as Docker lists it; undefined if the image has no registry */
  repositoryOf(image: string): string | undefined {
    const reference = this.#inRegistry(image);
    return reference && listedName(reference.name);
  }

  /** @returns the digest of the image on this host; undefined if it is not there */
  async onHost(image: string): Promise<string | undefined> {
    const reference = this.#inRegistry(image);
    if (!reference) return await this.#localId(image).catch(() => undefined);
    const found = await this.#inspect(reference.text);
    const prefix = `${listedName(reference.name)}@`;
    return found?.RepoDigests?.find((one) => one.startsWith(prefix))?.slice(prefix.length);
  }

  /**
   * Asks the registry for the digest that a tag points to now.
   * @returns undefined if the digest cannot change or the registry does not answer
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
