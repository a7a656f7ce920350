/** Follows a log file that another program writes and sometimes replaces. */

import { type FileHandle, open, stat, watch } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isSystemError } from '../../errors/service-error.ts';
import { Lines } from './agent-log.ts';

const CHUNK = 64 * 1024;

export class FollowedFile {
  readonly #path: string;
  readonly #lines: Lines;
  readonly #buffer = Buffer.alloc(CHUNK);
  #file: FileHandle | undefined;
  #position = 0;

  /** @param take called with each line */
  constructor(path: string, take: (line: string) => void) {
    this.#path = path;
    this.#lines = new Lines(take);
  }

  /**
   * Skips the present content of the file, and then follows it until `signal` aborts.
   * @returns when following has begun; `over` resolves when everything up to the end was read
   */
  async begin(signal: AbortSignal): Promise<{ readonly over: Promise<void> }> {
    const changes = watch(dirname(this.#path), { signal });
    await this.#reopen();
    this.#position = (await this.#file?.stat())?.size ?? 0;
    return { over: this.#follow(changes) };
  }

  async #follow(changes: AsyncIterable<{ readonly filename: string | null }>): Promise<void> {
    try {
      for await (const { filename } of changes) {
        if (filename === basename(this.#path)) await this.#read();
      }
    } catch (error) {
      if (!(error instanceof Error && error.name === 'AbortError')) throw error;
      await this.#read();
    } finally {
      this.#lines.end();
      await this.#file?.close();
    }
  }

  /** Reads the rest of a replaced file first. */
  async #read(): Promise<void> {
    await this.#drain();
    if (!(await this.#isReplaced())) return;
    await this.#drain();
    await this.#reopen();
    await this.#drain();
  }

  async #isReplaced(): Promise<boolean> {
    const [now, ours] = await Promise.all([stat(this.#path).catch(() => undefined), this.#file?.stat({})]);
    return now !== undefined && (now.ino !== ours?.ino || now.size < this.#position);
  }

  async #reopen(): Promise<void> {
    await this.#file?.close();
    this.#position = 0;
    this.#file = await open(this.#path).catch((error: unknown) => {
      if (isSystemError(error, 'ENOENT')) return undefined;
      throw error;
    });
  }

  async #drain(): Promise<void> {
    for (;;) {
      const { bytesRead = 0 } = (await this.#file?.read(this.#buffer, 0, CHUNK, this.#position)) ?? {};
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      this.#lines.push(this.#buffer.subarray(0, bytesRead));
    }
  }
}
