/**
 * A setting whose value must stay secret. It is read from the environment, from a file that only root can read, or from
 * a systemd credential. No log and no string conversion shows the value; only `reveal()` returns it.
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

/** A given value and its source. */
export interface Found {
  readonly text: string;
  readonly source: string;
}

/**
 * Finds the secret setting `name`. It looks at the variable `name`, then at the file that `<name>_FILE` names, then at
 * the systemd credential of that name. Line ends at the end of a file are not part of the secret.
 * @throws Error when the file cannot be read, is empty, or can be read by users other than root
 */
export function findSecret(name: string, environment: NodeJS.ProcessEnv): Found | undefined {
  const given = environment[name];
  if (given) return { text: given, source: 'environment' };
  const file = fileOf(name, environment);
  const mustBeThere = environment[`${name}_FILE`];
  if (!file || (!mustBeThere && !statSync(file, { throwIfNoEntry: false }))) return undefined;
  return { text: readRootOnly(file), source: file };
}

/** The file of the secret, which applies unless the variable gives the value. */
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

/** Compares in constant time, so that the time reveals neither the first difference nor the lengths. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
