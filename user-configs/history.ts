/** What an operator can do with the stored versions of one user's config: see them, and choose which is current. */

import { randomBytes } from 'node:crypto';
import { ServiceError } from '../errors/service-error.ts';
import { proofOf } from './chosen.ts';
import { nameOf } from './current.ts';
import type { ConfigStore } from './store.ts';
import { type Version, versionsAmong } from './versions.ts';

export interface Listed extends Version {
  /** By which it is restored. */
  readonly word: string;
  readonly isCurrent: boolean;
}

/** The latest first. @throws {ServiceError} `config.store` */
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
 * Makes a version the one that the user's next container begins with. Those that are in use keep theirs, and what
 * they save is kept beside it.
 * @param secret of the webserver, by which hosts know that it was an operator
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
  // As a generation, milliseconds are later than all that sessions have counted, also where what was current is lost.
  const session = `restored-${randomBytes(8).toString('hex')}`;
  const next = { version, ...(changes && { changes }), session, sequence: 1, generation: Date.now() };
  const chosen = proofOf(secret, prefix, next);
  if (!(await store.makeCurrent({ ...next, chosen }, found, signal)))
    throw new ServiceError('config.busy', {});
  // A host may have removed it as one of the oldest, meanwhile.
  await find();
}
