/**
 * Reads the wanted nodes from a file. A user who can write to the file can mount any directory of the host into a
 * container, so only root may be able to write to it. An unusable file changes nothing.
 */

import { watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Feed, Want, WantedApp } from './feed.ts';
import { parseNodesFile } from './nodes-file.ts';

const MOST_BYTES = 4 * 2 ** 20;
/**
 * Milliseconds between two checks for a change. The feed polls, because a watch misses a changed symbolic link in the
 * path.
 */
const BETWEEN_LOOKS = 500;
const WRITABLE_BY_OTHERS = 0o022;

export class FileFeed implements Feed {
  readonly source: string;

  constructor(path: string) {
    this.source = path;
  }

  async follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void> {
    const changes = new Changes(this.source, signal);
    // Holds the last text or the last error, because a poll may report a change although nothing has changed.
    for (let before: string | undefined; !signal.aborted; await changes.next()) {
      const found = await readText(this.source).catch((error: Error) => error);
      const now = typeof found === 'string' ? found : found.message;
      if (now === before) continue;
      before = now;
      try {
        if (typeof found !== 'string') throw found;
        // The nodes report the effect themselves, so the feed does not wait for it.
        want(parseNodesFile(found, this.source)).catch((error: unknown) => signal.aborted || failed(error));
      } catch (error) {
        failed(error);
      }
    }
  }
}

/** @throws {ServiceError} `node.bad_feed` */
export async function readNodesFile(path: string): Promise<WantedApp> {
  return parseNodesFile(await readText(path), path);
}

/** @throws {ServiceError} `node.bad_feed` */
async function readText(source: string): Promise<string> {
  const bad = (why: string) => new ServiceError('node.bad_feed', { source, why });
  try {
    await using file = await open(source);
    const { uid, mode, size } = await file.stat();
    if (uid !== 0 || (mode & WRITABLE_BY_OTHERS) !== 0) {
      throw bad('users other than root can write to it; run "chown root" and "chmod go-w" on it');
    }
    if (size > MOST_BYTES) throw bad(`it is larger than ${MOST_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (error) {
    throw error instanceof ServiceError ? error : bad(messageOf(error));
  }
}

/** Records that a file has changed, so that a change during a read is not missed. */
class Changes {
  #changed = Promise.withResolvers<void>();

  constructor(path: string, signal: AbortSignal) {
    const watcher = watchFile(path, { persistent: false, interval: BETWEEN_LOOKS }, () => this.#ring());
    const stop = () => {
      watcher.removeAllListeners();
      this.#ring();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  }

  #ring(): void {
    this.#changed.resolve();
  }

  async next(): Promise<void> {
    await this.#changed.promise;
    this.#changed = Promise.withResolvers();
  }
}
