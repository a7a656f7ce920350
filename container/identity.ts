/** The two names of a container, branded so that one can never be passed for the other. */

import { randomBytes } from 'node:crypto';

/** 60 random hex digits, made before Docker knows the container; names its directories. */
export type ContainerId = string & { readonly brand: 'ContainerId' };
/** What Docker's create call returned. */
export type DockerId = string & { readonly brand: 'DockerId' };

export function newContainerId(): ContainerId {
  return randomBytes(30).toString('hex') as ContainerId;
}

export function isContainerId(text: string | undefined): text is ContainerId {
  return /^[0-9a-f]{60}$/.test(text ?? '');
}
