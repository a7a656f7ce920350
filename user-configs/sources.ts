/** Where a stored config is read from: S3, or the spool of this host if what was saved last is still there. */

import { open } from 'node:fs/promises';
import { isSystemError } from '../errors/service-error.ts';
import { type Current, isAside, mayFollow, nameOf } from './current.ts';
import type { Spool } from './spool.ts';
import type { ConfigStore, Content } from './store.ts';

export interface SourcesParts {
  readonly spool: Spool;
  readonly prefix: string;
  readonly store: ConfigStore;
  /** The whole bucket, and the predecessor's object in it. */
  readonly bucket: ConfigStore;
  readonly oldKey: string | undefined;
  /** Bytes that an archive may have. */
  readonly most: number;
}

export class Sources {
  readonly #parts: SourcesParts;

  constructor(parts: SourcesParts) {
    this.#parts = parts;
  }

  /**
   * What a session begins with; when S3 cannot be asked, what waits for it here.
   * @returns undefined when nothing was ever saved @throws {ServiceError} `config.store`
   */
  async current(signal: AbortSignal): Promise<Current | undefined> {
    const { spool, prefix, store } = this.#parts;
    const waiting = spool
      .list(prefix)
      .findLast((entry) => entry.file.isWhole && !isAside(entry.waiting.version))?.waiting;
    let stored: Current | undefined;
    try {
      stored = (await store.findCurrent(signal))?.current;
    } catch (error) {
      if (!waiting) throw error;
      return waiting;
    }
    return waiting && mayFollow(waiting, waiting.basis, stored) ? waiting : stored;
  }

  /** @returns undefined when there is no such object @throws {ServiceError} `config.store` */
  async open(name: string, signal: AbortSignal): Promise<Content | undefined> {
    const { spool, prefix, store, most } = this.#parts;
    const entry = spool.list(prefix).find(({ waiting }) => nameOf(waiting) === name);
    if (entry?.file.isWhole) {
      try {
        const handle = await open(entry.file.path);
        return { stream: handle.createReadStream(), bytes: entry.file.bytes };
      } catch (error) {
        // It has come to S3 meanwhile.
        if (!isSystemError(error, 'ENOENT')) throw error;
      }
    }
    return await store.open(name, most, signal);
  }

  /** What the predecessor stored. */
  async openOld(signal: AbortSignal): Promise<Content | undefined> {
    const { bucket, oldKey, most } = this.#parts;
    return oldKey === undefined ? undefined : await bucket.open(oldKey, most, signal);
  }
}
