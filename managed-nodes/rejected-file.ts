/**
 * Stores rejected containers on disk, so that the next service does not retry them. The file holds the last lines of
 * their programs' output.
 */

import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from '../host/atomic-file.ts';
import type { Logger } from '../logging/logger.ts';
import { isRecord } from '../parsing/json.ts';
import type { Rejected } from './plan/world.ts';

const VERSION = 1;

/** Returns an empty map if the file cannot be read. The containers are then tried once more. */
export async function readRejected(path: string, log: Logger): Promise<Map<string, Rejected>> {
  try {
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (isRecord(found) && found.version === VERSION && isRecord(found.nodes))
      return new Map(
        Object.entries(found.nodes).filter((one): one is [string, Rejected] => isRejected(one[1])),
      );
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT'))
      log.warn({ error, path }, 'what was rejected is not known any more');
  }
  return new Map();
}

export async function writeRejected(path: string, rejected: ReadonlyMap<string, Rejected>): Promise<void> {
  const content = JSON.stringify({ version: VERSION, nodes: Object.fromEntries(rejected) });
  await writeFileAtomically(path, content, 0o600);
}

function isRejected(one: unknown): one is Rejected {
  if (!isRecord(one)) return false;
  const { key, why, lastLines, at } = one;
  return (
    typeof key === 'string' && typeof why === 'string' && Array.isArray(lastLines) && typeof at === 'number'
  );
}
