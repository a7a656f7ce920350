/**
 * Keeps the last lines of the log on a tmpfs, for the process that reports a crash of the service. Two files take
 * turns, so that they stay small.
 */

import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Outlet } from './outlets.ts';

/** Maximum size of one file in bytes. */
const MOST = 64 * 1024;

function pathsIn(directory: string) {
  return { now: join(directory, 'last-lines'), before: join(directory, 'last-lines.before') };
}

export class LastLines implements Outlet {
  readonly #paths: ReturnType<typeof pathsIn>;
  #file: number | undefined;
  #bytes = 0;

  /** @param directory one that only root can write @throws a system error */
  constructor(directory: string) {
    this.#paths = pathsIn(directory);
    // A crashed service may have left it.
    rmSync(this.#paths.before, { force: true });
    this.#file = openSync(this.#paths.now, 'w', 0o600);
  }

  write(line: string): void {
    try {
      if (this.#bytes > MOST) this.#turn();
      if (this.#file !== undefined) this.#bytes += writeSync(this.#file, line);
    } catch {
      // As on stdout, lines are lost when the disk is full.
    }
  }

  /** Stops recording and removes the files, because a normal end needs no report. */
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

/** The paths of the files that a crashed process may have left in the directory. */
export function lastLinesIn(directory: string): string[] {
  return Object.values(pathsIn(directory));
}

/** @returns the last lines of a crashed process, at most `count`, without line feeds */
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
