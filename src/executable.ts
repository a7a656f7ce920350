/**
 * The program as a single file. Node can load addons and parts of a bundle only from files, so the executable contains
 * them and writes them to a directory that only root can use. Then it continues as from a checkout. Existing files are
 * used only if they are identical. Source: Node's documentation of single executable applications.
 */

import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getAssetKeys, getRawAsset } from 'node:sea';

/** The digest of all contained files; set by the build. */
declare const CARRIED: string;

interface File {
  readonly name: string;
  readonly content: Buffer;
}

function isThere(directory: string, files: readonly File[]): boolean {
  try {
    return files.every(({ name, content }) => readFileSync(join(directory, name)).equals(content));
  } catch {
    return false;
  }
}

/** Creates the directory atomically. Another process may create the same one at this moment, and may already use it. */
function layDown(parent: string, directory: string, files: readonly File[]): void {
  const draft = mkdtempSync(join(parent, '.draft-'));
  try {
    for (const { name, content } of files) writeFileSync(join(draft, name), content);
    if (isMoved(draft, directory) || isThere(directory, files)) return;
    // The existing directory is damaged.
    rmSync(directory, { recursive: true });
    renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function isMoved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    return false;
  }
}

/** @returns the directory of the files */
function unpack(files: readonly File[]): string {
  if (process.getuid?.() !== 0) {
    const own = mkdtempSync(join(tmpdir(), 'ecs-host-service-'));
    process.on('exit', () => rmSync(own, { recursive: true, force: true }));
    layDown(own, join(own, CARRIED), files);
    return join(own, CARRIED);
  }
  const parent = join(process.env.ROOT || '/', 'var/lib/ecs-host-service/program');
  const directory = join(parent, CARRIED);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  if (!isThere(directory, files)) layDown(parent, directory, files);
  return directory;
}

const directory = unpack(
  getAssetKeys().map((name) => ({ name, content: Buffer.from(getRawAsset(name) as ArrayBuffer) })),
);
// The next start then does not compile. Only root can write to the directory.
if (process.getuid?.() === 0) enableCompileCache(join(directory, 'compiled'));
createRequire(join(directory, 'main.cjs'))('./main.cjs');
