/**
 * Reads files of environment variables in Docker's format. Secrets belong in such a file, because every user of the
 * machine can read a command line. So no error quotes a line. The option is not called `--env-file`, because Node
 * interprets an option of that name wherever it is and loads the file into its own environment.
 */

import { readFileSync } from 'node:fs';
import { messageOf, ServiceError } from '../../errors/service-error.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @param environment provides the values of names without a value @throws {ServiceError} `operator.env_from` */
export function readEnvFile(file: string, environment: NodeJS.ProcessEnv): Record<string, string> {
  const lines = read(file)
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/);
  const found: Record<string, string> = {};
  for (const [index, whole] of lines.entries()) {
    const text = whole.trimStart();
    if (text === '' || text.startsWith('#')) continue;
    const at = text.includes('=') ? text.indexOf('=') : text.length;
    const name = text.slice(0, at);
    const value = at < text.length ? text.slice(at + 1) : environment[name];
    const line = `line ${index + 1}`;
    if (!NAME.test(name)) throw unusable(file, `${line} is not NAME=VALUE`);
    if (value === undefined) throw unusable(file, `the name on ${line} is not in the environment`);
    found[name] = value;
  }
  return found;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unusable(file, messageOf(error), error);
  }
}

function unusable(file: string, why: string, cause?: unknown): ServiceError {
  return new ServiceError('operator.env_from', { file, why }, { cause });
}
