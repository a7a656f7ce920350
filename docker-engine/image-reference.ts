/**
 * Parses image names: `name`, `name:tag` or `name@digest`; the name may start with the host of its registry. They are
 * parsed before Docker is asked, because a pull without a tag would fetch all tags.
 */

import { ServiceError } from '../errors/service-error.ts';

export interface ImageReference {
  /** Includes the host of the registry, unless that is Docker's own. */
  readonly name: string;
  /** A tag or a digest; never empty. */
  readonly version: string;
  /** The complete reference. */
  readonly text: string;
}

/** Source: the reference grammar of the distribution project, and its limit for names. */
const LABEL = '[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*';
const REGISTRY = `(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?`;
const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const REFERENCE = new RegExp(
  `^((?:${REGISTRY}/)?${PART}(?:/${PART})*)(?::(\\w[\\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`,
);
const LONGEST_NAME = 255;
const LONGEST = 500;

/** Whether the name starts with the host of a registry. Source: Docker's own rule. */
export function namesRegistry({ name }: ImageReference): boolean {
  const [first = '', ...others] = name.split('/');
  return others.length > 0 && (/[.:A-Z]/.test(first) || first === 'localhost');
}

/**
 * Returns the name as Docker lists it: an image of Docker Hub has no registry in its name, and an official image no
 * `library`.
 */
export function listedName(name: string): string {
  const path = name.replace(/^(?:index\.)?docker\.io\//, '');
  return /^library\/[^/]+$/.test(path) ? path.slice('library/'.length) : path;
}

/**
 * If both a tag and a digest are given, the digest counts, as with Docker.
 * @throws {ServiceError} `image.bad_reference`
 */
export function referenceOf(image: string): ImageReference {
  const [, name, tag = 'latest', digest] = (image.length <= LONGEST && REFERENCE.exec(image)) || [];
  if (name === undefined || name.length > LONGEST_NAME) {
    throw new ServiceError('image.bad_reference', { why: 'it must be like NAME[:TAG][@sha256:DIGEST]' });
  }
  if (digest !== undefined) return { name, version: digest, text: `${name}@${digest}` };
  return { name, version: tag, text: `${name}:${tag}` };
}
