/**
 * Files of environment variables, in Docker's format. What is secret belongs there: a command line can be read by every
 * user of the machine. So no error quotes a line. The option is not called `--env-file`: that one Node takes for itself,
 * wherever it stands, and fills its own environment with what is in the file.
 */

import { readFileSync } from 'node:fs';
import { messageOf, ServiceError } from '../../errors/service-error.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @param environment has the values of names that stand alone @throws {ServiceError} `operator.env_from` */
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
