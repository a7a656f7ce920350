/**
 * One container's use of a user's files, as far as it can be saved: checkpoints while the container lives, all of it
 * when it is proven gone. To save takes the public half of the key alone, so that a session can be saved by whoever
 * comes after a service that died.
 *
 * INVARIANTS
 * - One save of a session is made at a time, and each has a number of its own, also across restarts.
 * - What is saved is in the spool, on the disk, before anybody is told so.
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

/** All that it takes to save a session. It has no secret that opens what is saved. */
export interface SessionRecord {
  readonly prefix: string;
  readonly session: string;
  /** Of the last save that was begun. */
  readonly sequence: number;
  /** The public half of the key, in base64. */
  readonly recipient: string;
  /** Whether its saves must not become current. */
  readonly isAside: boolean;
  /** The save that it began with. */
  readonly basis?: Save;
  /** With which its saves are stamped; left out: by an earlier version, which did not. */
  readonly stamp?: StampSource;
}

interface StampSource {
  /** In base64. */
  readonly key: string;
  readonly generation: number;
}

const RECORD = 'user-config.json';

/** @param own the container's own directory @returns undefined when there is no session that was not saved */
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
  /** Lets a few sessions of the host pack at a time. */
  readonly packing: LimitFunction;
  /** Is told how many bytes each save has. */
  readonly onSaved?: ((bytes: number) => void) | undefined;
}

export class Session {
  readonly #parts: SessionParts;
  readonly #onOver: () => void;
  #sequence: number;
  #base: Base | undefined;
  #bytes: number;
  /** When what was saved last was as the files were. */
  #saved: Mark | undefined;

  /** @param base what changes can be relative to @param onOver is called when nothing is left to save */
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

  /** That a save of all files has, as far as that is known by those that were made. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Saves what changed since the last time, of files that live.
   * @returns what was saved; undefined when nothing changed
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
      // What has changed that much is better saved anew.
      else if (bytes > base.bytes / 2) this.#base = undefined;
      return entry;
    });
  }

  /**
   * Saves all files, which nobody changes any more.
   * @returns how it is known that they are saved
   * @throws {ServiceError} `config.*`, `host.filesystem`; the same again may succeed
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

  /** That it will never be saved. */
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
