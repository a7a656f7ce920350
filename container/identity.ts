/** This service's id of a container. It is a branded type, so that Docker's id cannot be used in its place. */

import { randomBytes } from 'node:crypto';

/** 60 random hex digits, generated before Docker knows the container. The container's directories have this name. */
export type ContainerId = string & { readonly brand: 'ContainerId' };

export function newContainerId(): ContainerId {
  return randomBytes(30).toString('hex') as ContainerId;
}

export function isContainerId(text: string | undefined): text is ContainerId {
  return /^[0-9a-f]{60}$/.test(text ?? '');
}
