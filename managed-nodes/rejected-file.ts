/**
 * Stores rejected containers on disk, so that the next service does not retry them. The file holds the last lines of
 * their programs' output.
 */

import { readFile } from 'node:fs/promises';
import pLimit from 'p-limit';
import { isSystemError } from '../errors/service-error.ts';
import { writeFileAtomically } from '../host/atomic-file.ts';
import type { Logger } from '../logging/logger.ts';
import { isRecord } from '../parsing/json.ts';
import type { Rejected, World } from './plan/world.ts';

const VERSION = 1;

export type RejectedNodes = ReadonlyMap<string, Rejected>;

export function rejectedIn({ memory }: Pick<World, 'memory'>): RejectedNodes {
  return new Map(
    [...memory].flatMap(([node, { rejected }]) => (rejected ? [[node, rejected] as const] : [])),
  );
}

export class RejectedFile {
  readonly #path: string;
  readonly #write: typeof writeFileAtomically;
  /** One write at a time, so that an older content never replaces a newer one. */
  readonly #oneWrite = pLimit(1);

  constructor(path: string, write = writeFileAtomically) {
    this.#path = path;
    this.#write = write;
  }

  /** Returns an empty map if the file cannot be read. The containers are then tried once more. */
  async read(log: Logger): Promise<Map<string, Rejected>> {
    try {
      const found: unknown = JSON.parse(await readFile(this.#path, 'utf8'));
      if (isRecord(found) && found.version === VERSION && isRecord(found.nodes))
        return new Map(
          Object.entries(found.nodes).filter((one): one is [string, Rejected] => isRejected(one[1])),
        );
    } catch (error) {
      if (!isSystemError(error, 'ENOENT'))
        log.warn({ error, path: this.#path }, 'cannot read the rejected containers');
    }
    return new Map();
  }

  async keep(rejected: RejectedNodes): Promise<void> {
    const content = JSON.stringify({ version: VERSION, nodes: Object.fromEntries(rejected) });
    await this.#oneWrite(() => this.#write(this.#path, content, 0o600));
  }
}

function isRejected(one: unknown): one is Rejected {
  if (!isRecord(one)) return false;
  const { key, why, lastLines, at } = one;
  return (
    typeof key === 'string' && typeof why === 'string' && Array.isArray(lastLines) && typeof at === 'number'
  );
}
