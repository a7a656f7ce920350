/**
 * Saved archives on this host's disk until they are uploaded to S3. They are encrypted, readable by root only, and
 * survive restarts of the service and the host. A file beside each archive describes it; it is written when the archive
 * is complete and on the disk. An archive without that file is incomplete, and the next start removes it.
 *
 *   <session>-<sequence>.age   the object as it will be stored
 *   <session>-<sequence>.json  its description, a {@link Waiting}
 */

import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ServiceError } from '../errors/service-error.ts';
import { explain, writeFileAtomically } from '../host/atomic-file.ts';
import type { Logger } from '../logging/logger.ts';
import type { Current, Save } from './current.ts';
import { GrowingFile } from './growing-file.ts';

/** The number of bytes after which data is flushed to the disk while writing continues. */
const SYNCED_TOGETHER = 2 ** 25;

/** An archive to upload, and the save that then becomes current. */
export interface Waiting extends Current {
  /** The prefix of all objects of this user and app. */
  readonly prefix: string;
  /** The save that its session started with; undefined: none. */
  readonly basis?: Save;
  /** Milliseconds since 1970, by this host's clock. */
  readonly savedAt: number;
}

export class Entry {
  readonly waiting: Waiting;
  readonly file: GrowingFile;
  readonly #record: string;
  #committed: Promise<void> = Promise.resolve();

  constructor(waiting: Waiting, file: GrowingFile) {
    this.waiting = waiting;
    this.file = file;
    this.#record = file.path.replace(/\.age$/, '.json');
  }

  /**
   * Marks the archive as complete. Readers behind the writer then see its end, and it waits on the disk for the upload.
   */
  commit(handle: FileHandle): Promise<void> {
    this.file.finish();
    this.#committed = this.#commit(handle);
    return this.#committed;
  }

  async #commit(handle: FileHandle): Promise<void> {
    try {
      await handle.sync();
    } catch (error) {
      throw explain(this.file.path, error);
    }
    await writeFileAtomically(this.#record, JSON.stringify(this.waiting), 0o600);
  }

  async remove(): Promise<void> {
    await this.#committed.catch(() => {});
    await rm(this.#record, { force: true });
    await rm(this.file.path, { force: true });
  }
}

export class Spool {
  readonly #directory: string;
  readonly #limit: number;
  readonly #entries: Set<Entry>;

  /**
   * Opens the spool and finds the archives of earlier services.
   * @param limit the maximum size of all archives together, in bytes
   */
  static async open(directory: string, limit: number, log: Logger): Promise<Spool> {
    const names = new Set(await readdir(directory));
    const found: Entry[] = [];
    for (const name of names) {
      const path = join(directory, name);
      const sibling = name.endsWith('.age') ? name.replace(/age$/, 'json') : name.replace(/json$/, 'age');
      if (!names.has(sibling)) await rm(path, { force: true });
      else if (name.endsWith('.age')) found.push(...(await find(path, join(directory, sibling), log)));
    }
    return new Spool(directory, limit, found);
  }

  private constructor(directory: string, limit: number, found: Entry[]) {
    this.#directory = directory;
    this.#limit = limit;
    this.#entries = new Set(found.sort((a, b) => a.waiting.savedAt - b.waiting.savedAt));
  }

  /** In the order in which they were saved. */
  list(prefix?: string): Entry[] {
    return [...this.#entries].filter(({ waiting }) => prefix === undefined || waiting.prefix === prefix);
  }

  has(entry: Entry): boolean {
    return this.#entries.has(entry);
  }

  get bytes(): number {
    return [...this.#entries].reduce((sum, { file }) => sum + file.bytes, 0);
  }

  /**
   * Writes an archive, which others may read behind the writer.
   * @param fill writes the file at a path and reports each increase in bytes; an error thrown by the report ends it
   * @param began called with the entry before anything is written
   * @throws {ServiceError} `config.spool_full`, `host.filesystem`, or what `fill` throws; nothing is left then
   */
  async write(
    waiting: Waiting,
    fill: (path: string, grow: (bytes: number) => void) => Promise<void>,
    began: (entry: Entry) => void,
  ): Promise<Entry> {
    const { session, sequence } = waiting;
    const entry = new Entry(waiting, new GrowingFile(join(this.#directory, `${session}-${sequence}.age`)));
    await using handle = await this.#create(entry.file.path);
    this.#entries.add(entry);
    let unsynced = 0;
    const grow = (bytes: number) => {
      this.#grow(entry, bytes);
      unsynced += bytes;
      if (unsynced < SYNCED_TOGETHER) return;
      unsynced = 0;
      // Otherwise all data would be flushed at the end, while a caller waits.
      void handle.datasync().catch(() => {});
    };
    try {
      began(entry);
      await fill(entry.file.path, grow);
      await entry.commit(handle);
    } catch (error) {
      const removed = this.remove(entry);
      entry.file.fail(error);
      await removed;
      throw error;
    }
    return entry;
  }

  #grow({ file }: Entry, bytes: number): void {
    if (this.bytes + bytes > this.#limit) {
      throw new ServiceError('config.spool_full', { directory: this.#directory, limit: this.#limit });
    }
    file.grow(bytes);
  }

  async remove(entry: Entry): Promise<void> {
    this.#entries.delete(entry);
    await entry.remove();
  }

  async #create(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx', 0o600);
    } catch (error) {
      throw explain(path, error);
    }
  }
}

async function find(path: string, record: string, log: Logger): Promise<Entry[]> {
  try {
    const waiting: Waiting = JSON.parse(await readFile(record, 'utf8'));
    return [new Entry(waiting, await GrowingFile.whole(path))];
  } catch (error) {
    log.error({ path, why: messageOf(error) }, 'a saved user config cannot be read and stays in the spool');
    return [];
  }
}
