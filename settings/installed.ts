/** The settings of the installed service, for commands that an operator gives by hand. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/service-error.ts';

/**
 * What is given, and where that does not say which environment it is, what systemd would give to the service.
 * @param directory of its `environment` and its `credentials/` @throws Error when they may not be read
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

/** As systemd does: a comment is a line of its own, and quotes around a value are none of it. */
function parse(text: string): Record<string, string> {
  const lines = text.matchAll(/^[^\S\n]*([^#;=\s][^=\n]*)=(.*)$/gm);
  return Object.fromEntries(
    [...lines].map(([, name = '', value = '']) => [
      name.trim(),
      value.trim().replace(/^(["'])(.*)\1$/, '$2'),
    ]),
  );
}
