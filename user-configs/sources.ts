/** The sources of a stored config: S3, and the spool of this host if the last save is still there. */

import { open } from 'node:fs/promises';
import { isSystemError } from '../errors/service-error.ts';
import { type Current, isAside, mayFollow, nameOf } from './current.ts';
import type { Spool } from './spool.ts';
import type { ConfigStore, Content } from './store.ts';
import { type Directory, type Version, versionsAmong } from './versions.ts';

export interface SourcesParts {
  readonly spool: Spool;
  readonly prefix: string;
  readonly store: ConfigStore;
  /** The store of the whole bucket, for the predecessor's object. */
  readonly bucket: ConfigStore;
  /** undefined: the predecessor's object is not read. */
  readonly oldKey: string | undefined;
  /** The maximum size of an archive in bytes. */
  readonly most: number;
}

/** The save that counts as current. */
export interface Named {
  readonly current: Current;
  /** Whether it is in the spool of this host, where only root can write. */
  readonly isHere: boolean;
}

export class Sources {
  readonly #parts: SourcesParts;

  constructor(parts: SourcesParts) {
    this.#parts = parts;
  }

  /**
   * The save that a session starts with. If S3 is unreachable, that is the one in the spool.
   * @returns undefined if S3 has no current save
   * @throws {ServiceError} `config.store`, `config.answer_too_large`
   */
  async current(signal: AbortSignal): Promise<Named | undefined> {
    const { spool, prefix, store } = this.#parts;
    const waiting = spool
      .list(prefix)
      .findLast((entry) => entry.file.isWhole && !isAside(entry.waiting.version))?.waiting;
    let stored: Current | undefined;
    try {
      stored = (await store.findCurrent(signal))?.current;
    } catch (error) {
      if (!waiting) throw error;
      return { current: waiting, isHere: true };
    }
    if (waiting && mayFollow(waiting, waiting.basis, stored)) return { current: waiting, isHere: true };
    return stored && { current: stored, isHere: false };
  }

  /**
   * The saves in S3, the latest first: either those that are stored aside, or the others.
   * @throws {ServiceError} `config.store`
   */
  async saves(directory: Directory, signal: AbortSignal): Promise<Version[]> {
    return versionsAmong(await this.#parts.store.list(signal, `${directory}/`));
  }

  /** @returns undefined if there is no such object @throws {ServiceError} `config.store` */
  async open(name: string, signal: AbortSignal): Promise<Content | undefined> {
    const { spool, prefix, store, most } = this.#parts;
    const entry = spool.list(prefix).find(({ waiting }) => nameOf(waiting) === name);
    if (entry?.file.isWhole) {
      try {
        const handle = await open(entry.file.path);
        return { stream: handle.createReadStream(), bytes: entry.file.bytes };
      } catch (error) {
        // It was uploaded to S3 meanwhile.
        if (!isSystemError(error, 'ENOENT')) throw error;
      }
    }
    return await store.open(name, most, signal);
  }

  /** Opens the predecessor's object. @returns undefined if there is none or it must not be read */
  async openOld(signal: AbortSignal): Promise<Content | undefined> {
    const { bucket, oldKey, most } = this.#parts;
    return oldKey === undefined ? undefined : await bucket.open(oldKey, most, signal);
  }
}
