/** A secret setting that can change while the service runs: the service reads its file again when the file changes. */

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../errors/service-error.ts';
import { SCHEMA } from './schema.ts';
import { fileOf, findSecret } from './secret.ts';

export interface RotatingSecretOptions {
  readonly name: 'OPERATOR_TOKEN' | 'VIEWER_TOKEN';
  readonly environment: NodeJS.ProcessEnv;
  /** A value that is refused even if the file contains it. */
  readonly mustNotBe?: string;
  /** Called with each value before the value takes effect. */
  readonly onValue: (value: string) => void;
  /** Called once for each change that makes the secret unusable, with the reason. */
  readonly report: (why: string) => void;
}

/**
 * In milliseconds. Two changes of a file within this time may have the same timestamp, because some filesystems have
 * coarse clocks.
 */
const SETTLED = 100;

export class RotatingSecret {
  readonly #options: RotatingSecretOptions;
  readonly #file: string | undefined;
  /** The version of the file that was read; undefined while a change could still go unnoticed. */
  #version: string | undefined;
  #value: string | undefined;
  #problem: string | undefined;

  constructor(options: RotatingSecretOptions) {
    const { name, environment } = options;
    this.#options = options;
    const file = environment[name] ? undefined : fileOf(name, environment);
    this.#file = file && resolve(file);
    this.#read(this.#look());
  }

  /** The value in effect; undefined if none is given or if its file cannot be used now. */
  get current(): string | undefined {
    const version = this.#look();
    if (this.#file && (version === undefined || version !== this.#version)) this.#read(version);
    return this.#value;
  }

  #read(version: string | undefined): void {
    const { onValue } = this.#options;
    const before = this.#value;
    this.#version = version;
    this.#value = undefined;
    try {
      const value = this.#find(version);
      if (value !== undefined && value !== before) onValue(value);
      this.#value = value;
      this.#tell(before !== undefined && value === undefined ? 'it is not there any more' : undefined);
    } catch (error) {
      this.#tell(messageOf(error));
    }
  }

  #find(version: string | undefined): string | undefined {
    const { name, environment } = this.#options;
    const given = this.#file ? { ...environment, [`${name}_FILE`]: this.#file } : environment;
    const isOptional = !environment[`${name}_FILE`] && version === MISSING;
    const found = isOptional ? undefined : findSecret(name, given);
    const value = found && SCHEMA[name].parse(found.text);
    if (value !== undefined && value === this.#options.mustNotBe) throw new Error(NOT_THE_SAME);
    return value;
  }

  #tell(problem: string | undefined): void {
    const { name, report } = this.#options;
    if (problem !== undefined && problem !== this.#problem) report(`${name}: ${problem}`);
    this.#problem = problem;
  }

  /**
   * @returns a string that changes when the file or its content changes; undefined while a further change could go
   * unnoticed
   */
  #look(): string | undefined {
    if (!this.#file) return undefined;
    try {
      const found = statSync(this.#file, { bigint: true, throwIfNoEntry: false });
      if (!found) return MISSING;
      const age = Date.now() - Number(found.ctimeNs / 1_000_000n);
      return age < SETTLED ? undefined : [found.ino, found.size, found.ctimeNs].join();
    } catch (error) {
      return messageOf(error);
    }
  }
}

const MISSING = 'missing';
const NOT_THE_SAME = "must not be the webserver's secret";
