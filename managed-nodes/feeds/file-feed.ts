/**
 * The nodes that a file names. Whoever can write to it has containers made with mounts of the host, so it must be root's. A file
 * that cannot be used changes nothing.
 */

import { watchFile } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf, ServiceError } from '../../errors/service-error.ts';
import type { Feed, Want, WantedApp } from './feed.ts';
import { parseNodesFile } from './nodes-file.ts';

const MOST_BYTES = 4 * 2 ** 20;
/** Milliseconds between looks whether the file has changed. A watch would miss a link that is changed above it. */
const BETWEEN_LOOKS = 500;
const WRITABLE_BY_OTHERS = 0o022;

export class FileFeed implements Feed {
  readonly source: string;

  constructor(path: string) {
    this.source = path;
  }

  async follow(want: Want, failed: (error: unknown) => void, signal: AbortSignal): Promise<void> {
    const changes = new Changes(this.source, signal);
    // The text, or why there is none: a look may come though nothing has changed.
    for (let before: string | undefined; !signal.aborted; await changes.next()) {
      const found = await readText(this.source).catch((error: Error) => error);
      const now = typeof found === 'string' ? found : found.message;
      if (now === before) continue;
      before = now;
      try {
        if (typeof found !== 'string') throw found;
        // Whatever becomes of it is told elsewhere.
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
      throw bad('others than root can write to it; run "chown root" and "chmod go-w" on it');
    }
    if (size > MOST_BYTES) throw bad(`it is larger than ${MOST_BYTES} bytes`);
    return await file.readFile('utf8');
  } catch (error) {
    throw error instanceof ServiceError ? error : bad(messageOf(error));
  }
}

/** Counts the changes of a file, so that none is missed while it is read. */
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
