/**
 * Virtual consoles. Each container gets its own console, from /dev/tty10 to /dev/tty63. Lower numbers belong to the
 * host, and 63 is the kernel's maximum (MAX_NR_CONSOLES).
 */

import { lstat } from 'node:fs/promises';
import { ServiceError } from '../errors/service-error.ts';
import { majorOf, minorOf } from '../host/device-number.ts';
import type { Lifetime } from '../lifetime/lifetime.ts';
import { Pool, PoolExhaustedError, type PoolUse } from '../lifetime/pool.ts';

const FIRST = 10;
const LAST = 63;
/** The major number of the consoles' character devices. Source: the kernel's devices.txt. */
const TTY_MAJOR = 4;

export class Ttys {
  readonly #pool: Pool;
  readonly #exists: (n: number) => Promise<boolean>;

  constructor(numbers: Iterable<number>, exists: (n: number) => Promise<boolean> = isConsole) {
    this.#pool = new Pool(numbers);
    this.#exists = exists;
  }

  /** Those of the consoles 10 to 63 that exist on this host. @param exists whether /dev/ttyN is console N */
  static async ofThisHost(exists: (n: number) => Promise<boolean> = isConsole): Promise<Ttys> {
    const numbers = Array.from({ length: LAST - FIRST + 1 }, (_, i) => FIRST + i);
    const found = await Promise.all(numbers.map(exists));
    return new Ttys(
      numbers.filter((_, i) => found[i]),
      exists,
    );
  }

  /** The number of consoles, and how many are held. */
  get use(): PoolUse {
    return this.#pool;
  }

  /**
   * Holds a console until the lifetime ends.
   * @param seenGone says how it was observed that no process can use the console
   * @throws {ServiceError} `tty.none_free` or `tty.none_exist`
   */
  async acquire(lifetime: Lifetime, seenGone: () => string | Promise<string>): Promise<number> {
    try {
      return await this.#pool.acquire(lifetime, { ...TTY, usable: this.#exists, seenGone });
    } catch (error) {
      if (!(error instanceof PoolExhaustedError)) throw error;
      if (this.#pool.size === 0) throw new ServiceError('tty.none_exist', {}, { cause: error });
      throw new ServiceError('tty.none_free', { size: this.#pool.size }, { cause: error });
    }
  }

  /** Holds console `n` for a container that a crashed service left. @param seenGone as for `acquire` */
  async adopt(lifetime: Lifetime, n: number, seenGone: () => string | Promise<string>): Promise<void> {
    await this.#pool.adopt(lifetime, n, { ...TTY, seenGone });
  }
}

const TTY = { kind: 'tty', describe: String };

async function isConsole(n: number): Promise<boolean> {
  try {
    const found = await lstat(`/dev/tty${n}`);
    return found.isCharacterDevice() && majorOf(found.rdev) === TTY_MAJOR && minorOf(found.rdev) === n;
  } catch {
    return false;
  }
}

/** The rule of Docker's `DeviceCgroupRules` that lets a container open console `n` and no other. */
export function deviceRule(n: number): string {
  return `c ${TTY_MAJOR}:${n} rw`;
}
