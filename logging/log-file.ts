/**
 * Writes the log to a file, for programs on this host that collect logs. If log rotation has renamed or removed the
 * file, the next line goes to a new one. As on stdout, lines are lost when the disk is full.
 */

import { closeSync, constants, fstatSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Outlet } from './outlets.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;

export class LogFile implements Outlet {
  readonly #path: string;
  #file: number;

  /** @throws a system error */
  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    this.#file = this.#open();
  }

  write(line: string): void {
    try {
      if (!this.#isInPlace()) {
        const opened = this.#open();
        closeSync(this.#file);
        this.#file = opened;
      }
      writeSync(this.#file, line);
    } catch {
      // The journal has the line.
    }
  }

  #open(): number {
    return openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o640);
  }

  #isInPlace(): boolean {
    const there = statSync(this.#path, { throwIfNoEntry: false });
    const { dev, ino } = fstatSync(this.#file);
    return there?.dev === dev && there.ino === ino;
  }
}
