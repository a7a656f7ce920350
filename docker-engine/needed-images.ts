/**
 * Finds the image for a new container: a local one, or one that is pulled, in a pull that all requests for it share. An
 * image whose name contains a registry is pulled from there. Any other name is local, and must not be resolved to a
 * stranger's image unless the settings name a default registry.
 */

import { ServiceError } from '../errors/service-error.ts';
import type { Docker } from './docker.ts';
import type { ImagePulls, PullNews } from './image-pulls.ts';
import { type ImageReference, namesRegistry, referenceOf } from './image-reference.ts';

/** When an image is pulled: if this host does not have it, always, or never. */
export const PULL_POLICIES = ['missing', 'always', 'never'] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

export interface NeededImagesOptions {
  readonly docker: Docker;
  readonly pulls: ImagePulls;
  /** The registry of images whose names contain none; undefined: such images are only local. */
  readonly defaultRegistry: string | undefined;
  /** The time limit for a pull, in seconds. */
  readonly longest?: number;
}

type Tell = (news: PullNews) => void;
const silent: Tell = () => {};

/** In seconds. */
const LONGEST = 15 * 60;

export class NeededImages {
  readonly #options: NeededImagesOptions;

  constructor(options: NeededImagesOptions) {
    this.#options = options;
  }

  /**
   * @param tell called with the progress of a pull
   * @param gone aborts when no caller waits any longer
   * @returns the image's name on this host
   * @throws {ServiceError} `image.*`
   */
  async find(image: string, policy: PullPolicy, tell = silent, gone?: AbortSignal): Promise<string> {
    // Docker itself reports a missing image.
    if (policy === 'never') return image;
    const { docker, defaultRegistry } = this.#options;
    const reference = referenceOf(image);
    if (policy === 'missing' && (await docker.hasImage(image))) return image;
    if (namesRegistry(reference)) return await this.#pull(reference, tell, gone);
    if (defaultRegistry === undefined)
      throw new ServiceError(policy === 'missing' ? 'image.missing' : 'image.no_registry', { image });
    const meant = referenceOf(`${defaultRegistry}/${image}`);
    if (policy === 'missing' && (await docker.hasImage(meant.text))) return meant.text;
    return await this.#pull(meant, tell, gone);
  }

  async #pull(reference: ImageReference, tell: Tell, gone: AbortSignal | undefined): Promise<string> {
    const { pulls, longest: seconds = LONGEST } = this.#options;
    const { text: image } = reference;
    const late = AbortSignal.timeout(seconds * 1000);
    const signal = gone ? AbortSignal.any([late, gone]) : late;
    for await (const news of await pulls.follow({ reference }, signal)) {
      if (news.event === 'failed') throw news.data;
      tell(news);
      if (news.event === 'pulled') return image;
    }
    gone?.throwIfAborted();
    throw new ServiceError('image.too_slow', { image, seconds });
  }
}
