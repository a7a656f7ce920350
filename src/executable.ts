/**
 * The program as a single file. Node can load addons and parts of a bundle only from files, so the executable contains
 * them and writes them to a directory that only root can use. Then it continues as from a checkout. Existing files are
 * used only if nothing has changed them. Source: Node's documentation of single executable applications.
 */

import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire, enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getAsset } from 'node:sea';
import { brotliDecompressSync } from 'node:zlib';

/** The digest of all contained files; set by the build. */
declare const CARRIED: string;

/** The names and sizes of the contained files. */
type Sizes = readonly (readonly [name: string, size: number])[];

/** The time of every unpacked file, in seconds. A file that was changed later has another one. */
const UNPACKED = 946_684_800;

/** The files are not read, which would take longer than the rest of this program, and keep their content in memory. */
function isThere(directory: string, sizes: Sizes): boolean {
  try {
    return sizes.every(([name, size]) => {
      const found = statSync(join(directory, name));
      // A power loss can leave a file shorter than it was written.
      return found.size === size && found.mtimeMs === UNPACKED * 1000;
    });
  } catch {
    return false;
  }
}

/** Creates the directory atomically. Another process may create the same one at this moment, and may already use it. */
function layDown(parent: string, directory: string, sizes: Sizes): void {
  const draft = mkdtempSync(join(parent, '.draft-'));
  try {
    writeFiles(draft, sizes);
    if (isMoved(draft, directory) || isThere(directory, sizes)) return;
    // The existing directory is damaged.
    rmSync(directory, { recursive: true });
    renameSync(draft, directory);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

function writeFiles(directory: string, sizes: Sizes): void {
  const content = brotliDecompressSync(new Uint8Array(getAsset('content')));
  let at = 0;
  for (const [name, size] of sizes) {
    const path = join(directory, name);
    writeFileSync(path, content.subarray(at, at + size));
    utimesSync(path, UNPACKED, UNPACKED);
    at += size;
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
function unpack(sizes: Sizes): string {
  if (process.getuid?.() !== 0) {
    const own = mkdtempSync(join(tmpdir(), 'ecs-host-service-'));
    process.on('exit', () => rmSync(own, { recursive: true, force: true }));
    layDown(own, join(own, CARRIED), sizes);
    return join(own, CARRIED);
  }
  const parent = join(process.env.ROOT || '/', 'var/lib/ecs-host-service/program');
  const directory = join(parent, CARRIED);
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  if (!isThere(directory, sizes)) layDown(parent, directory, sizes);
  return directory;
}

const directory = unpack(JSON.parse(getAsset('sizes', 'utf8')));
// The next start then does not compile. Only root can write to the directory.
if (process.getuid?.() === 0) enableCompileCache(join(directory, 'compiled'));
createRequire(join(directory, 'main.cjs'))('./main.cjs');
