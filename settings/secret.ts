/**
 * A setting that must not be seen: read from the environment, from a file that only root can read, or from
 * a systemd credential. Its value shows in no log and no text: it has to be asked for with `reveal()`.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toJSON(): string {
    return '[secret]';
  }

  toString(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** A text that was given, and by what. */
export interface Found {
  readonly text: string;
  readonly source: string;
}

/**
 * Finds the secret setting `name`: the variable itself, the file that `<name>_FILE` names, or the systemd
 * credential of that name, in this order. Line ends at the end of a file do not belong to the secret.
 * @throws Error when the file cannot be read, can be read by others than root, or is empty
 */
export function findSecret(name: string, environment: NodeJS.ProcessEnv): Found | undefined {
  const given = environment[name];
  if (given) return { text: given, source: 'environment' };
  const file = fileOf(name, environment);
  const mustBeThere = environment[`${name}_FILE`];
  if (!file || (!mustBeThere && !statSync(file, { throwIfNoEntry: false }))) return undefined;
  return { text: readRootOnly(file), source: file };
}

/** Where the secret stands unless the variable gives it. */
export function fileOf(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  const { CREDENTIALS_DIRECTORY: credentials } = environment;
  return environment[`${name}_FILE`] || (credentials && join(credentials, name)) || undefined;
}

function readRootOnly(file: string): string {
  const { uid, mode } = statSync(file);
  if (uid !== 0 || (mode & 0o077) !== 0) {
    throw new Error(`${file} must be readable by root alone; run "chown root ${file} && chmod 600 ${file}"`);
  }
  const secret = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
  if (!secret) throw new Error(`${file} is empty; write the secret into it`);
  return secret;
}

/** Compares in a time that tells nothing about where the two differ, nor about the length of either. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
