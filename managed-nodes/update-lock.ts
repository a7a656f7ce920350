/** Defers updates while a lock file exists. Any program may create or remove it. The file outlives the service. */

import { unwatchFile, watchFile } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import { writeFileAtomically } from '../host/atomic-file.ts';

/** Milliseconds between two checks for a file that another program has created or removed. */
const BETWEEN_LOOKS = 1_000;

export class UpdateLock {
  readonly path: string;
  readonly #changed: (isLocked: boolean) => void;

  /** @param changed called at the start, and whenever the state may have changed */
  static async open(
    path: string,
    changed: (isLocked: boolean) => void,
    signal: AbortSignal,
  ): Promise<UpdateLock> {
    const lock = new UpdateLock(path, changed);
    await lock.#look();
    const look = () => void lock.#look();
    watchFile(path, { persistent: false, interval: BETWEEN_LOOKS }, look);
    signal.addEventListener('abort', () => unwatchFile(path, look), { once: true });
    return lock;
  }

  private constructor(path: string, changed: (isLocked: boolean) => void) {
    this.path = path;
    this.#changed = changed;
  }

  async set(isLocked: boolean): Promise<void> {
    if (isLocked) await writeFileAtomically(this.path, '', 0o600);
    else await rm(this.path, { force: true });
    await this.#look();
  }

  async #look(): Promise<void> {
    const isThere = await access(this.path).then(
      () => true,
      () => false,
    );
    this.#changed(isThere);
  }
}
