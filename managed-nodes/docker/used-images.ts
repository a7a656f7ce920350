/**
 * Remembers the images that nodes were created from. So a clean-up removes no image of others, even after a restart of
 * the service.
 */

import { readFile } from 'node:fs/promises';
import pLimit from 'p-limit';
import { isSystemError } from '../../errors/service-error.ts';
import { writeFileAtomically } from '../../host/atomic-file.ts';
import type { Logger } from '../../logging/logger.ts';

/** The maximum number of images in the file. */
const MOST = 1000;

export class UsedImages {
  readonly #path: string;
  readonly #log: Logger;
  readonly #oneWrite = pLimit(1);
  #names: readonly string[] = [];

  /** If the file cannot be read, the images of earlier nodes stay on the host. */
  static async open(path: string, log: Logger): Promise<UsedImages> {
    const used = new UsedImages(path, log);
    try {
      const found: unknown = JSON.parse(await readFile(path, 'utf8'));
      if (Array.isArray(found)) used.#names = found.filter((name) => typeof name === 'string');
    } catch (error) {
      if (!isSystemError(error, 'ENOENT'))
        log.warn({ error }, 'the list of images that nodes have used cannot be read');
    }
    return used;
  }

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** As `REPOSITORY@DIGEST`, newest first. */
  get names(): readonly string[] {
    return this.#names;
  }

  async add(name: string): Promise<void> {
    if (name === this.#names[0]) return;
    this.#names = [name, ...this.#names.filter((one) => one !== name)].slice(0, MOST);
    await this.#oneWrite(() => writeFileAtomically(this.#path, JSON.stringify(this.#names), 0o600)).catch(
      (error: unknown) =>
        this.#log.warn({ error }, 'the list of images that nodes have used cannot be written'),
    );
  }
}
