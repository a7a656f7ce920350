/**
 * The working directory for the files of one session. It belongs to the container, only root can enter it, and it is on
 * the filesystem of the files. Plaintext exists nowhere else.
 *
 * Files are unpacked beside the container's files, and in their quota project if there is one, because the kernel does
 * not move files between projects. Everything else is created outside the project, so that it works when the
 * container's disk quota is used up.
 */

import { randomUUID } from 'node:crypto';
import { chown, type FileHandle, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError } from '../errors/service-error.ts';
import { CONTAINER_USER, removeTree } from '../host/directories.ts';
import { openDirectory, within } from '../host/open-directory.ts';
import type { Moment, Place } from './confined-tar.ts';

/** The time limit in milliseconds for removing obstacles, which the container may still be changing. */
const REMOVING_REPLACED = 20_000;
/** How often an obstacle to a move is moved away. */
const ATTEMPTS = 5;
const IN_THE_WAY = ['EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR'];

/** A time, and an offset that later shows whether the clock was set back. */
export interface Mark {
  readonly nanoseconds: bigint;
  /** Milliseconds between the clock and a monotonic one. */
  readonly offset: number;
}

export class Workplace {
  /** The user's files, as the container sees them. */
  readonly #files: string;
  readonly #incoming: string;
  readonly #view: string;
  readonly #replaced: string;
  readonly #mark: string;
  readonly #limit: number;

  /**
   * @param own a directory that only root can write to; what is created in it is removed with it
   * @param files in a root-only directory below `own`
   * @param limit the maximum size of the files as a tar archive, in bytes
   */
  static async open(own: string, files: string, limit: number): Promise<Workplace> {
    const place = new Workplace(own, files, limit);
    for (const path of [place.#view, place.#replaced]) await mkdir(path, { mode: 0o700, recursive: true });
    return place;
  }

  private constructor(own: string, files: string, limit: number) {
    this.#files = files;
    this.#incoming = join(dirname(files), 'incoming');
    this.#view = join(own, 'view');
    this.#replaced = join(own, 'replaced');
    this.#mark = join(own, 'mark');
    this.#limit = limit;
  }

  get files(): Place {
    return { tree: this.#files, view: this.#view, limit: this.#limit };
  }

  /**
   * Creates an empty directory to unpack into. It is a mount point for the unpacking child, so an archive cannot
   * replace it.
   */
  async beginIncoming(): Promise<Place> {
    await removeTree(this.#incoming);
    await mkdir(this.#incoming, { mode: 0o700 });
    await chown(this.#incoming, CONTAINER_USER, CONTAINER_USER);
    return { tree: this.#incoming, view: this.#view, limit: this.#limit };
  }

  async dropIncoming(): Promise<void> {
    await removeTree(this.#incoming);
  }

  /**
   * Moves the unpacked files to the directory that the container sees. The directory itself stays, because it is
   * mounted. Whatever the container has put in the way is moved away and removed, while the container may still have it
   * open.
   */
  async putInPlace(): Promise<void> {
    await this.#moveIncoming();
    await removeTree(this.#incoming);
    // If the container blocks the removal, the rest is removed with its other directories when it is proven gone.
    await removeTree(this.#replaced, REMOVING_REPLACED).catch(() => {});
  }

  async #moveIncoming(): Promise<void> {
    await using from = await openDirectory(this.#incoming);
    await using to = await openDirectory(this.#files);
    await using replaced = await openDirectory(this.#replaced);
    for (const name of await readdir(within(from), { encoding: 'buffer' })) {
      await move(within(from, name), within(to, name), replaced);
    }
  }

  /** Returns a time that is earlier than all later changes. */
  async mark(): Promise<Mark> {
    await writeFile(this.#mark, '');
    await chown(this.#mark, 0, 0);
    const offset = Date.now() - performance.now();
    const { ctimeNs } = await stat(this.#mark, { bigint: true });
    return { nanoseconds: ctimeNs - 1n, offset };
  }
}

/** If a name is a link, it is not followed. */
async function move(from: Buffer, to: Buffer, replaced: FileHandle): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rename(from, to);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS || !IN_THE_WAY.some((code) => isSystemError(error, code))) throw error;
      await rename(to, within(replaced, Buffer.from(randomUUID()))).catch(() => {});
    }
  }
}

/** In the form of file times. If the clock was set back since, the result is set back too. */
export function momentOf({ nanoseconds, offset }: Mark): Moment {
  const setBack = Math.max(0, offset - (Date.now() - performance.now()));
  const moment = nanoseconds - BigInt(Math.ceil(setBack * 1e6));
  return `${moment / 1_000_000_000n}.${String(moment % 1_000_000_000n).padStart(9, '0')}`;
}
