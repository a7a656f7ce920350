/**
 * The resource mappings: small files, without an end of line, that a container reads in /fractal/resourceMappings. Each
 * file appears atomically.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/atomic-file.ts';

/**
 * The files that programs in the images read. `userConfig` says how the user's files were restored (none, new,
 * restored, damaged, unavailable). `.ready` guarantees that the other files exist. `ending` exists while the end of the
 * host is announced.
 */
export type MappingName =
  | 'hostPort_for_my_32262_tcp'
  | 'tty'
  | 'DPI'
  | 'ContainerARN'
  | 'timeout'
  | 'userConfig'
  | 'ending'
  | '.ready';

/** Readable by every user of the container, which has a read-only mount of the directory. */
const MODE = 0o644;

export class ResourceMappings {
  readonly #directory: string;
  readonly #drafts: string;

  /**
   * @param directory the directory that the container sees
   * @param drafts a directory on the same filesystem that it does not see
   */
  constructor(directory: string, drafts: string) {
    this.#directory = directory;
    this.#drafts = drafts;
  }

  /**
   * Writes the values in parallel and skips missing ones. When it returns, no write is in progress.
   * @throws {ServiceError} `host.filesystem`
   */
  async write(
    values: Readonly<Partial<Record<MappingName, string | number | null | undefined>>>,
  ): Promise<void> {
    const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
    const written = await Promise.allSettled(
      given.map(([name, value]) =>
        writeFileAtomically(join(this.#directory, name), String(value), MODE, this.#drafts),
      ),
    );
    for (const one of written) if (one.status === 'rejected') throw one.reason;
  }

  /** @throws a system error */
  async remove(name: MappingName): Promise<void> {
    await rm(join(this.#directory, name), { force: true });
  }
}
