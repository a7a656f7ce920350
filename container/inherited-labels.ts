/**
 * `docker commit` gives an image the labels of the container that it is made of, and the image gives them to each of
 * its own containers. Ours say there what is not so: such a container is none of this host's, and nobody's to remove.
 */

import type { Labels } from '../docker-engine/answers.ts';
import type { ContainerId } from './identity.ts';
import { containerIdOf, withoutOurs } from './labels.ts';

export class InheritedLabels {
  readonly #labelsOf: (image: string) => Promise<Labels>;
  /** By the id of an image, which stands for all that is in it. */
  readonly #madeOf = new Map<string, ContainerId | undefined>();

  /** @param labelsOf looks up those of an image; none when it is not there any more */
  constructor(labelsOf: (image: string) => Promise<Labels>) {
    this.#labelsOf = labelsOf;
  }

  /** @param image id of that which a container has been made from @returns its labels without those of ours that it inherited */
  async remove(labels: Labels, image: string): Promise<Labels> {
    const id = containerIdOf(labels);
    if (!id) return labels;
    if (!this.#madeOf.has(image)) this.#madeOf.set(image, containerIdOf(await this.#labelsOf(image)));
    return this.#madeOf.get(image) === id ? withoutOurs(labels) : labels;
  }
}
