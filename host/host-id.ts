/** The id by which this host recognises its own containers. It is created once and survives reboots. */

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, ServiceError } from '../errors/service-error.ts';
import { explain, writeFileAtomically } from './atomic-file.ts';
import { makeWithParents } from './directories.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @param state the directory that survives reboots */
export async function readHostId(state: string): Promise<string> {
  const path = join(state, 'host-id');
  try {
    const id = (await readFile(path, 'utf8')).trim();
    if (UUID.test(id)) return id;
    throw new ServiceError('start.filesystem', { path, why: 'it is not a UUID; remove it to get a new one' });
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  const id = randomUUID();
  // An earlier service may have crashed before it created the directory.
  await makeWithParents(state, 0o700).catch((error: unknown) => {
    throw explain(state, error);
  });
  await writeFileAtomically(path, `${id}\n`, 0o600);
  return id;
}
