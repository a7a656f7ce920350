/** The name that this service gives a container; branded so that Docker's name for it can never be passed instead. */

import { randomBytes } from 'node:crypto';

/** 60 random hex digits, made before Docker knows the container; names its directories. */
export type ContainerId = string & { readonly brand: 'ContainerId' };

export function newContainerId(): ContainerId {
  return randomBytes(30).toString('hex') as ContainerId;
}

export function isContainerId(text: string | undefined): text is ContainerId {
  return /^[0-9a-f]{60}$/.test(text ?? '');
}
