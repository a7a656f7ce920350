/**
 * Where the files of one session are worked on: a directory of the container's own that root alone can enter, on the
 * filesystem of the files themselves. Plaintext is nowhere else.
 *
 * What comes is unpacked beside the files: it is of their project, if the container has one, since the kernel moves no file
 * into another. All else is made where there is none, so that it can be made when the container's disk is full.
 */

import { randomUUID } from 'node:crypto';
import { chown, type FileHandle, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError } from '../errors/service-error.ts';
import { CONTAINER_USER, removeTree } from '../host/directories.ts';
import { openDirectory, within } from '../host/open-directory.ts';
import type { Moment, Place } from './confined-tar.ts';

/** Milliseconds for removing what was in the way: the container that put it there may still be changing it. */
const REMOVING_REPLACED = 5000;
/** How often something that appears in the way of a file is moved away. */
const ATTEMPTS = 5;
const IN_THE_WAY = ['EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR'];

/** A moment, and what this host's clock said of it, by which it is seen later whether the clock was set back. */
export interface Mark {
  readonly nanoseconds: bigint;
  /** Milliseconds between the clock and one that is never set. */
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
   * @param own a directory of root's; what is made in it goes with it
   * @param files lies in a directory of root's below it
   * @param limit bytes that the files may have as a tar archive
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

  /** An empty place to unpack into. The directory is mounted for whoever unpacks, so no archive can put something else there. */
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
   * Moves what was unpacked to where the container sees it. The directory itself stays: it is mounted. What the
   * container has put in the way is moved away, whatever it is, and removed while the container may still have it open.
   */
  async putInPlace(): Promise<void> {
    await this.#moveIncoming();
    await removeTree(this.#incoming);
    // What a container keeps from being removed goes with its other directories, once it is proven gone.
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

  /** Everything that changes from now on has a later time than this one. */
  async mark(): Promise<Mark> {
    await writeFile(this.#mark, '');
    await chown(this.#mark, 0, 0);
    const offset = Date.now() - performance.now();
    const { ctimeNs } = await stat(this.#mark, { bigint: true });
    return { nanoseconds: ctimeNs - 1n, offset };
  }
}

/** Neither name is followed if it is a link. */
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

/** As the times of files have it, by which a clock that was set back since has gone back too. */
export function momentOf({ nanoseconds, offset }: Mark): Moment {
  const setBack = Math.max(0, offset - (Date.now() - performance.now()));
  const moment = nanoseconds - BigInt(Math.ceil(setBack * 1e6));
  return `${moment / 1_000_000_000n}.${String(moment % 1_000_000_000n).padStart(9, '0')}`;
}
