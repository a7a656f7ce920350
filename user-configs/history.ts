/** Lets an operator list the stored versions of a user's config and choose the current one. */

import { randomBytes } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import { proofOf } from './chosen.ts';
import { nameOf } from './current.ts';
import type { ConfigStore } from './store.ts';
import { type Version, versionsAmong } from './versions.ts';

export interface Listed extends Version {
  /** The name by which it is restored. */
  readonly word: string;
  readonly isCurrent: boolean;
}

/** The latest comes first. @throws {ServiceError} `config.store` */
export async function listVersions(store: ConfigStore, signal: AbortSignal): Promise<Listed[]> {
  const versions = versionsAmong(await store.list(signal));
  const current = (await store.findCurrent(signal))?.current;
  return versions.map((version) => ({
    ...version,
    word: nameOf(version).replace(/^versions\/|\.age$/g, ''),
    isCurrent: current !== undefined && nameOf(version) === nameOf(current),
  }));
}

/**
 * Makes a version the one that the user's next container starts with. Running containers keep their files, and their
 * saves are stored aside.
 * @param secret the webserver's secret, which proves to hosts that an operator chose the version
 * @throws {ServiceError} `config.no_version`, `config.busy`, `config.store`
 */
export async function restoreVersion(
  {
    store,
    prefix,
    secret,
  }: { readonly store: ConfigStore; readonly prefix: string; readonly secret: string },
  word: string,
  signal: AbortSignal,
): Promise<void> {
  const find = async () => {
    const found = (await listVersions(store, signal)).find((one) => one.word === word);
    if (!found) throw new ServiceError('config.no_version', { version: word });
    return found;
  };
  const { version, changes } = await find();
  const found = await store.findCurrent(signal);
  // As a generation, the time in milliseconds is larger than any count of sessions, even if `current.json` is lost.
  const session = `restored-${randomBytes(8).toString('hex')}`;
  const next = { version, ...(changes && { changes }), session, sequence: 1, generation: Date.now() };
  const chosen = proofOf(secret, prefix, next);
  if (!(await store.makeCurrent({ ...next, chosen }, found, signal)))
    throw new ServiceError('config.busy', {});
  // Meanwhile, a host may have removed it as one of the oldest versions.
  await find();
}
