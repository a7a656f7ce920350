/**
 * One container's use of a user's files: checkpoints while the container runs, and a save of all files when it is
 * proven gone. Saving needs only the public half of the key, so another process can save the session after a crash.
 *
 * INVARIANTS
 * - One save of a session is made at a time. Each has a number of its own, even across restarts.
 * - A save is in the spool on the disk before it is reported.
 */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LimitFunction } from 'p-limit';
import { writeFileAtomically } from '../host/atomic-file.ts';
import { exists } from '../host/directories.ts';
import type { Extent } from './confined-tar.ts';
import { nameOf, type Save } from './current.ts';
import type { Base } from './furnish.ts';
import { Packing } from './pack-and-encrypt.ts';
import type { Entry, Spool, Waiting } from './spool.ts';
import { sealStamp } from './stamp.ts';
import type { Uploads } from './uploads.ts';
import { nameOfChanges, nameOfVersion } from './versions.ts';
import { type Mark, momentOf, type Workplace } from './workplace.ts';

/** Everything that is needed to save a session. It contains no secret that decrypts saves. */
export interface SessionRecord {
  readonly prefix: string;
  readonly session: string;
  /** The number of the last save that was begun. */
  readonly sequence: number;
  /** The public half of the key, in base64. */
  readonly recipient: string;
  /** Whether its saves must not become current. */
  readonly isAside: boolean;
  /** The save that the session started with. */
  readonly basis?: Save;
  /** The key and values for the stamps of its saves; missing in records of an earlier version without stamps. */
  readonly stamp?: StampSource;
}

interface StampSource {
  /** In base64. */
  readonly key: string;
  readonly generation: number;
}

const RECORD = 'user-config.json';

/** @param own the container's own directory @returns undefined if there is no unsaved session */
export async function readRecord(own: string): Promise<SessionRecord | undefined> {
  const path = join(own, RECORD);
  return (await exists(path)) ? JSON.parse(await readFile(path, 'utf8')) : undefined;
}

export interface SessionParts {
  readonly record: SessionRecord;
  /** The container's own directory. */
  readonly own: string;
  readonly place: Workplace;
  readonly spool: Spool;
  readonly uploads: Uploads;
  /** Limits how many sessions of the host pack at the same time. */
  readonly packing: LimitFunction;
  /** Called with the size of each save in bytes. */
  readonly onSaved?: ((bytes: number) => void) | undefined;
}

export class Session {
  readonly #parts: SessionParts;
  readonly #onOver: () => void;
  #sequence: number;
  #base: Base | undefined;
  #bytes: number;
  /** The time of the files at the last save. */
  #saved: Mark | undefined;

  /** @param base the save that changes can be relative to @param onOver called when nothing is left to save */
  static async open(parts: SessionParts, base?: Base, onOver = () => {}): Promise<Session> {
    const session = new Session(parts, base, onOver);
    await session.#keepRecord();
    return session;
  }

  private constructor(parts: SessionParts, base: Base | undefined, onOver: () => void) {
    this.#parts = parts;
    this.#base = base;
    this.#bytes = base?.bytes ?? 0;
    this.#onOver = onOver;
    this.#sequence = parts.record.sequence;
  }

  /** The approximate size of a save of all files, according to the saves so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Saves what changed since the last save, while the container runs.
   * @returns the saved entry; undefined if nothing changed
   * @throws {ServiceError} `config.*`, `host.filesystem`
   */
  async checkpoint(signal: AbortSignal): Promise<Entry | undefined> {
    const base = this.#base;
    return await this.#parts.packing(async () => {
      await using packing = this.#begin(base ? { since: momentOf(base.mark) } : 'living', signal);
      const mark = await this.#parts.place.mark();
      if (!(await packing.look())) return undefined;
      const entry = await this.#save(packing, base);
      this.#saved = mark;
      const { version } = entry.waiting;
      const { bytes } = entry.file;
      this.#bytes = (base?.bytes ?? 0) + bytes;
      if (!base) this.#base = { version, bytes, mark, isStamped: this.#parts.record.stamp !== undefined };
      // After that many changes, the next save contains all files.
      else if (bytes > base.bytes / 2) this.#base = undefined;
      return entry;
    });
  }

  /**
   * Saves all files after the container has ended.
   * @returns how it is known that they are saved
   * @throws {ServiceError} `config.*`, `host.filesystem`; a retry may succeed
   */
  async save(signal: AbortSignal): Promise<string> {
    const entry = await this.#parts.packing(async () => {
      await using packing = this.#begin('all', signal);
      return (await packing.look()) ? await this.#save(packing) : undefined;
    });
    await rm(join(this.#parts.own, RECORD), { force: true });
    this.#onOver();
    if (!entry) return 'saved by the last checkpoint';
    return `${entry.file.bytes} bytes are encrypted on the disk, on their way to S3`;
  }

  /** Gives up saving the session. */
  abandon(): void {
    this.#onOver();
  }

  #begin(extent: Extent, signal: AbortSignal): Packing {
    signal.throwIfAborted();
    const saved = this.#saved && momentOf(this.#saved);
    return new Packing({ place: this.#parts.place.files, extent, saved }, signal);
  }

  async #save(packing: Packing, base?: Base): Promise<Entry> {
    const { record, spool, uploads, onSaved } = this.#parts;
    this.#sequence++;
    await this.#keepRecord();
    const recipient = Buffer.from(record.recipient, 'base64');
    const waiting = this.#describe(base);
    const stamp = this.#stampOf(waiting, base);
    const fill = (path: string, grow: (bytes: number) => void) => packing.into(path, recipient, stamp, grow);
    const entry = await spool.write(waiting, fill, (begun) => uploads.add(begun));
    onSaved?.(entry.file.bytes);
    await uploads.forgetBefore(entry);
    return entry;
  }

  #describe(base: Base | undefined): Waiting {
    const { prefix, session, isAside, basis, stamp } = this.#parts.record;
    const now = new Date();
    const save = { session, sequence: this.#sequence };
    const objects = base
      ? { version: base.version, changes: nameOfChanges(base.version, save, now) }
      : { version: nameOfVersion(isAside ? 'aside' : 'versions', save, now) };
    return {
      ...objects,
      ...save,
      ...(stamp && { generation: stamp.generation }),
      prefix,
      savedAt: now.getTime(),
      ...(basis && { basis }),
    };
  }

  #stampOf(waiting: Waiting, base: Base | undefined): Buffer {
    const { stamp } = this.#parts.record;
    if (!stamp) return Buffer.alloc(0);
    const { prefix: of, session, sequence, basis: follows } = waiting;
    return sealStamp(Buffer.from(stamp.key, 'base64'), {
      of,
      name: nameOf(waiting),
      session,
      sequence,
      generation: stamp.generation,
      ...(follows && { follows }),
      ...(base && { isBaseStamped: base.isStamped }),
    });
  }

  async #keepRecord(): Promise<void> {
    const { own, record } = this.#parts;
    const now: SessionRecord = { ...record, sequence: this.#sequence };
    await writeFileAtomically(join(own, RECORD), JSON.stringify(now), 0o600);
  }
}
