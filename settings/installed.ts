/** The settings of the installed service, for commands that an operator runs by hand. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/service-error.ts';

/**
 * Returns the given environment. If it does not set APP_ENV, returns the environment that systemd gives to the service.
 * @param directory the directory that contains the file `environment` and the directory `credentials/`
 * @throws Error when these cannot be read
 */
export function withInstalled(given: NodeJS.ProcessEnv, directory: string): NodeJS.ProcessEnv {
  if (given.APP_ENV) return given;
  try {
    const installed = parse(readFileSync(join(directory, 'environment'), 'utf8'));
    const others = { CREDENTIALS_DIRECTORY: join(directory, 'credentials'), ...installed, ...given };
    return { ...others, APP_ENV: installed.APP_ENV };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return given;
    throw error;
  }
}

/** Follows systemd's rules: a comment is on its own line. */
function parse(text: string): Record<string, string> {
  const lines = text.matchAll(/^[^\S\n]*([^#;=\s][^=\n]*)=(.*)$/gm);
  return Object.fromEntries(
    [...lines].map(([, name = '', value = '']) => [name.trim(), unquoted(value.trim())]),
  );
}

/** Removes the quotes around a value, and backslashes except between single quotes. */
function unquoted(value: string): string {
  const [, quote, content = ''] = /^(["'])(.*)\1$/.exec(value) ?? [];
  if (quote === "'") return content;
  return quote ? content.replace(/\\(["\\$`])/g, '$1') : value.replace(/\\(.)/g, '$1');
}
