/** Writes files that a reader sees either complete or not at all, even after a power loss. */

import { randomUUID } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isSystemError, messageOf, ServiceError } from '../errors/service-error.ts';

/** A pattern that no other program uses for its file names. */
const DRAFT = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/**
 * Writes to a temporary name, syncs, renames, and syncs the directory. If it fails, the previous file stays.
 * @param mode permission bits; the umask does not apply
 * @param temporary directory for the temporary file, on the same filesystem; default: the directory of the file
 * @throws {ServiceError} `host.filesystem`
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

/** Removes temporary files whose writer died before the rename. The directory may be missing. */
export async function removeDrafts(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  });
  const drafts = names.filter((name) => DRAFT.test(name));
  for (const name of drafts) await rm(join(directory, name), { force: true });
}

/** Turns a system error into one that says what to do. */
export function explain(path: string, error: unknown): ServiceError {
  return new ServiceError('host.filesystem', { path, why: messageOf(error) }, { cause: error });
}
