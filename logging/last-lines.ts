/**
 * The last lines of the log, kept on a tmpfs for whoever reports a death that the service did not see coming. Two
 * files take turns, so that they stay small however long the service lives.
 */

import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Outlet } from './outlets.ts';

/** Bytes of one file. */
const MOST = 64 * 1024;

function pathsIn(directory: string) {
  return { now: join(directory, 'last-lines'), before: join(directory, 'last-lines.before') };
}

export class LastLines implements Outlet {
  readonly #paths: ReturnType<typeof pathsIn>;
  #file: number | undefined;
  #bytes = 0;

  /** @param directory of root's @throws Error of the system */
  constructor(directory: string) {
    this.#paths = pathsIn(directory);
    // Of a service that died: they are not this one's.
    rmSync(this.#paths.before, { force: true });
    this.#file = openSync(this.#paths.now, 'w', 0o600);
  }

  write(line: string): void {
    try {
      if (this.#bytes > MOST) this.#turn();
      if (this.#file !== undefined) this.#bytes += writeSync(this.#file, line);
    } catch {
      // A full disk loses lines here as on stdout.
    }
  }

  /** Takes no more, and removes them: nobody will ask. */
  close(): void {
    this.#closeFile();
    this.#bytes = 0;
    for (const path of Object.values(this.#paths)) rmSync(path, { force: true });
  }

  #turn(): void {
    const { now, before } = this.#paths;
    this.#closeFile();
    renameSync(now, before);
    this.#file = openSync(now, 'w', 0o600);
    this.#bytes = 0;
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** The paths of what a dead process may have left there. */
export function lastLinesIn(directory: string): string[] {
  return Object.values(pathsIn(directory));
}

/** @returns at most `count` lines that a dead process wrote, without their line feeds */
export function readLastLines(directory: string, count: number): string[] {
  const { now, before } = pathsIn(directory);
  return [before, now].flatMap(linesOf).slice(-count);
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
