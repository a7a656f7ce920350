/** A secret setting that can be changed while the service runs: its file is read again whenever it is another one. */

import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { messageOf } from '../errors/service-error.ts';
import { SCHEMA } from './schema.ts';
import { fileOf, findSecret } from './secret.ts';

export interface RotatingSecretOptions {
  readonly name: 'OPERATOR_TOKEN' | 'VIEWER_TOKEN';
  readonly environment: NodeJS.ProcessEnv;
  /** A value that never counts, though it may be in the file. */
  readonly mustNotBe?: string;
  /** Is told each value, before it counts. */
  readonly onValue: (value: string) => void;
  /** Is told why there is none now, once for each change. */
  readonly report: (why: string) => void;
}

/** Milliseconds after which a change of the file is told apart from the one before, however coarse the clock of its filesystem. */
const SETTLED = 100;

export class RotatingSecret {
  readonly #options: RotatingSecretOptions;
  readonly #file: string | undefined;
  /** Of the file that was read; undefined while it may change without that being seen. */
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

  /** What counts at this moment; undefined when none is given, or its file cannot be used as it is now. */
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

  /** @returns another text for another file at its place, or other content of it; undefined when that cannot be told yet */
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
