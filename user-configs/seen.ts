/**
 * Remembers the latest current save of each user and app that this host knows, to detect that S3 returns an older one.
 * Users and apps are stored as digests only. A forgotten entry only weakens the detection.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors/service-error.ts';
import { removeDrafts, writeFileAtomically } from '../host/atomic-file.ts';
import { removeOldest } from '../host/old-files.ts';
import type { Logger } from '../logging/logger.ts';
import type { Save } from './current.ts';

/** A save and its generation. */
export interface Placed extends Save {
  readonly generation: number;
}

/** The maximum number of users and apps that are remembered. */
const MOST = 20_000;
/** The number of notes after which the oldest entries are removed. */
const NOTES = 1000;

export class Seen {
  readonly #directory: string;
  readonly #bucket: string;
  readonly #log: Logger;
  #notes = 0;

  static async open(directory: string, bucket: string, log: Logger): Promise<Seen> {
    await mkdir(directory, { mode: 0o700, recursive: true });
    await removeDrafts(directory);
    await removeOldest(directory, MOST);
    return new Seen(directory, bucket, log);
  }

  private constructor(directory: string, bucket: string, log: Logger) {
    this.#log = log;
    this.#directory = directory;
    this.#bucket = bucket;
  }

  /** @param prefix the prefix of all objects of the user and app @returns undefined if nothing is known */
  async newest(prefix: string): Promise<Placed | undefined> {
    try {
      return JSON.parse(await readFile(this.#pathOf(prefix), 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** Never rejects: a failed write affects nothing else. */
  async note(prefix: string, { session, sequence, generation }: Placed): Promise<void> {
    const text = JSON.stringify({ session, sequence, generation });
    try {
      await writeFileAtomically(this.#pathOf(prefix), text, 0o600);
      if (++this.#notes % NOTES === 0) await removeOldest(this.#directory, MOST);
    } catch (error) {
      this.#log.warn({ why: messageOf(error) }, 'could not record which user config is current');
    }
  }

  #pathOf(prefix: string): string {
    return join(this.#directory, createHash('sha256').update(`${this.#bucket}\n${prefix}`).digest('hex'));
  }
}

/** Whether the save that S3 calls current is older than one that was current before. */
export function isBefore(found: Placed, seen: Placed): boolean {
  if (found.generation !== seen.generation) return found.generation < seen.generation;
  return found.session !== seen.session || found.sequence < seen.sequence;
}
