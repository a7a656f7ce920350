/** Where a stored config is read from: S3, or the spool of this host if what was saved last is still there. */

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
  /** The whole bucket, and the predecessor's object in it. */
  readonly bucket: ConfigStore;
  /** undefined: it is not read. */
  readonly oldKey: string | undefined;
  /** Bytes that an archive may have. */
  readonly most: number;
}

/** What is said to be current. */
export interface Named {
  readonly current: Current;
  /** Whether it waits in the spool of this host, which nobody else can write. */
  readonly isHere: boolean;
}

export class Sources {
  readonly #parts: SourcesParts;

  constructor(parts: SourcesParts) {
    this.#parts = parts;
  }

  /**
   * What a session begins with; when S3 cannot be asked, what waits for it here.
   * @returns undefined when S3 names none @throws {ServiceError} `config.store`, `config.answer_too_large`
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

  /** Saves that S3 has, the latest first: those that were kept aside, or the others. @throws {ServiceError} `config.store` */
  async saves(directory: Directory, signal: AbortSignal): Promise<Version[]> {
    return versionsAmong(await this.#parts.store.list(signal, `${directory}/`));
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

  /** What the predecessor stored. @returns undefined also where that is not to be read */
  async openOld(signal: AbortSignal): Promise<Content | undefined> {
    const { bucket, oldKey, most } = this.#parts;
    return oldKey === undefined ? undefined : await bucket.open(oldKey, most, signal);
  }
}
