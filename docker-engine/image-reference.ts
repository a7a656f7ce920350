/**
 * What an image is called: `name`, `name:tag` or `name@digest`, where the name may begin with the host of its registry. It is
 * read here, before Docker is asked: a pull without a tag would get it all tags that there are.
 */

import { ServiceError } from '../errors/service-error.ts';

export interface ImageReference {
  /** With the host of its registry, unless that is Docker's own. */
  readonly name: string;
  /** A tag or a digest; never empty. */
  readonly version: string;
  /** All of it. */
  readonly text: string;
}

/** Source: distribution's reference grammar, and its limit on a name. */
const LABEL = '[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*';
const REGISTRY = `(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?`;
const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const REFERENCE = new RegExp(
  `^((?:${REGISTRY}/)?${PART}(?:/${PART})*)(?::(\\w[\\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`,
);
const LONGEST_NAME = 255;
const LONGEST = 500;

/** Whether the name begins with the host of a registry. Source: as Docker tells it. */
export function namesRegistry({ name }: ImageReference): boolean {
  const [first = '', ...others] = name.split('/');
  return others.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost');
}

/** Where both are given the digest counts, as with Docker. @throws {ServiceError} `image.bad_reference` */
export function referenceOf(image: string): ImageReference {
  const [, name, tag = 'latest', digest] = (image.length <= LONGEST && REFERENCE.exec(image)) || [];
  if (name === undefined || name.length > LONGEST_NAME) {
    throw new ServiceError('image.bad_reference', { why: 'it must be like NAME[:TAG][@sha256:DIGEST]' });
  }
  if (digest !== undefined) return { name, version: digest, text: `${name}@${digest}` };
  return { name, version: tag, text: `${name}:${tag}` };
}
