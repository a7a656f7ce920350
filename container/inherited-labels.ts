/**
 * `docker commit` copies the labels of a container to an image, and containers of that image inherit them. Labels of
 * this service that are inherited are wrong: such a container is not hosted by this host and must not be removed.
 */

import type { Labels } from '../docker-engine/answers.ts';
import type { ContainerId } from './identity.ts';
import { containerIdOf, withoutOurs } from './labels.ts';

export class InheritedLabels {
  readonly #labelsOf: (image: string) => Promise<Labels>;
  /** By the id of an image, which identifies its content. */
  readonly #madeOf = new Map<string, ContainerId | undefined>();

  /** @param labelsOf looks up the labels of an image; empty if the image no longer exists */
  constructor(labelsOf: (image: string) => Promise<Labels>) {
    this.#labelsOf = labelsOf;
  }

  /**
   * @param image the id of the image that the container was created from
   * @returns its labels without the inherited ones of this service
   */
  async remove(labels: Labels, image: string): Promise<Labels> {
    const id = containerIdOf(labels);
    if (!id) return labels;
    if (!this.#madeOf.has(image)) this.#madeOf.set(image, containerIdOf(await this.#labelsOf(image)));
    return this.#madeOf.get(image) === id ? withoutOurs(labels) : labels;
  }
}
