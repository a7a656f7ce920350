/**
 * The image of a container that is to be made: one that this host has, or one that is pulled for it, by the pull that all
 * others share. A name that says which registry has it is pulled from there. Any other name is a local one, which must not
 * become a stranger's image, unless the host's settings say whose registry is meant.
 */

import { ServiceError } from '../errors/service-error.ts';
import type { Docker } from './docker.ts';
import type { ImagePulls, PullNews } from './image-pulls.ts';
import { type ImageReference, namesRegistry, referenceOf } from './image-reference.ts';

/** When an image is pulled: where this host has none of that name, always, or never. */
export const PULL_POLICIES = ['missing', 'always', 'never'] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

export interface NeededImagesOptions {
  readonly docker: Docker;
  readonly pulls: ImagePulls;
  /** Where images are whose names do not say it; undefined: on this host alone. */
  readonly defaultRegistry: string | undefined;
  /** Seconds that a pull may take. */
  readonly longest?: number;
}

type Tell = (news: PullNews) => void;
const silent: Tell = () => {};

/** Seconds. */
const LONGEST = 15 * 60;

export class NeededImages {
  readonly #options: NeededImagesOptions;

  constructor(options: NeededImagesOptions) {
    this.#options = options;
  }

  /**
   * @param tell is told how far a pull is
   * @param gone aborts when nobody waits any more
   * @returns what the image is called on this host
   * @throws {ServiceError} `image.*`
   */
  async find(image: string, policy: PullPolicy, tell = silent, gone?: AbortSignal): Promise<string> {
    // Docker says by itself that it is not there.
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
