/**
 * A store in a directory. Each version of a text is a file, such as NAME~000000000001. A hard link creates a new
 * version atomically, and fails if another process has created the same version.
 */

import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Store, Stored } from './store.ts';

const DIGITS = 12;
/** Old versions that are kept for processes that are reading one. */
const KEPT = 3;
/**
 * Milliseconds for which older versions are kept too. While the file of a version exists, no other writer can create
 * that version, so the link shows which writer was first. A writer that took more than half of this time withdraws its
 * version.
 */
const AGE = 3_600_000;

export class DirectoryStore implements Store {
  readonly place: string;

  constructor(directory: string) {
    this.place = directory;
  }

  async read(name: string): Promise<Stored | undefined> {
    for (;;) {
      const version = (await this.#versions(name)).at(-1);
      if (version === undefined) return undefined;
      try {
        return { text: await readFile(this.#path(name, version), 'utf8'), version };
      } catch (error) {
        // The version was replaced and removed after it was listed.
        if (!isMissing(error)) throw error;
      }
    }
  }

  async write(name: string, text: string, version: string | undefined): Promise<string | undefined> {
    const begun = Date.now();
    const next = String(Number(version ?? 0) + 1).padStart(DIGITS, '0');
    const path = this.#path(name, next);
    await mkdir(dirname(path), { recursive: true });
    const newest = (await this.#versions(name)).at(-1);
    if (newest !== version) return undefined;
    const draft = join(dirname(path), `.${randomUUID()}`);
    try {
      await writeFile(draft, text, { flush: true });
      await link(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
    if (Date.now() - begun > AGE / 2) {
      await rm(path, { force: true });
      return undefined;
    }
    await this.#removeOld(name);
    return next;
  }

  async list(prefix: string): Promise<readonly string[]> {
    const directory = dirname(`${prefix}x`);
    const names = await entries(join(this.place, directory));
    const all = names
      .filter((name) => !name.startsWith('.'))
      .map((name) => join(directory, name.replace(/~\d+$/, '')));
    return [...new Set(all)].filter((name) => name.startsWith(prefix)).sort();
  }

  async #removeOld(name: string): Promise<void> {
    for (const old of (await this.#versions(name)).slice(0, -KEPT)) {
      const path = this.#path(name, old);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
      if (Date.now() - mtimeMs < AGE) return;
      await rm(path, { force: true });
    }
  }

  async #versions(name: string): Promise<readonly string[]> {
    const names = await entries(dirname(join(this.place, name)));
    const start = `${basename(name)}~`;
    return names
      .filter((one) => one.startsWith(start))
      .map((one) => one.slice(start.length))
      .sort();
  }

  #path(name: string, version: string): string {
    return join(this.place, `${name}~${version}`);
  }
}

async function entries(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
