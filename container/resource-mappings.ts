/**
 * The resource mappings: small files without a line end that a container reads under
 * /fractal/resourceMappings. Each appears whole or not at all.
 */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../host/atomic-file.ts';

/**
 * The files that the programs in the images know, `userConfig`, which says how the user's files are there (none, new,
 * restored, damaged, unavailable), `.ready`, which promises all the others, and `ending`, which is there once it is known
 * when the host ends.
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

/** Readable by every user of the container, who sees them through a read-only mount. */
const MODE = 0o644;

export class ResourceMappings {
  readonly #directory: string;
  readonly #drafts: string;

  /**
   * @param directory what the container sees
   * @param drafts a directory on the same filesystem that it does not see
   */
  constructor(directory: string, drafts: string) {
    this.#directory = directory;
    this.#drafts = drafts;
  }

  /**
   * Side by side; those without a value are not written. When it returns, nothing is under way any more.
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

  /** @throws what the filesystem throws */
  async remove(name: MappingName): Promise<void> {
    await rm(join(this.#directory, name), { force: true });
  }
}
