/** Files that a reader sees whole or not at all, also after a loss of power. */

import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';

/** No other program names its files so. */
const DRAFT = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/**
 * Writes under a temporary name, syncs, renames, and syncs the directory. A failure leaves what was there before.
 * @throws {ServiceError} `host.filesystem`
 * @param mode permission bits, whatever the umask
 * @param temporary directory for the temporary name, on the same filesystem; default: beside the file
 */
export async function writeFileAtomically(
  path: string,
  content: string,
  mode: number,
  temporary = dirname(path),
): Promise<void> {
  const draft = join(temporary, `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    await using file = await open(draft, 'wx', mode);
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
    await rename(draft, path);
    await using directory = await open(dirname(path), 'r');
    await directory.sync();
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    throw explain(path, error);
  }
}

/** Removes what was never renamed, because whoever wrote it died. The directory need not be there. */
export async function removeDrafts(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  });
  const drafts = names.filter((name) => DRAFT.test(name));
  for (const name of drafts) await rm(join(directory, name), { force: true });
}

/** Says of an error of the system what to do about it. */
export function explain(path: string, error: unknown): ServiceError {
  return new ServiceError('host.filesystem', { path, why: messageOf(error) }, { cause: error });
}
