/**
 * Finds a program as a shell does, and checks that the kernel can run it. Errors must be found here, because nothing
 * can report them after execve(2).
 */

import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { EntryError } from './entry-error.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const ELF = '\x7fELF';
/** The number of bytes that the kernel reads of a script's first line. */
const FIRST_LINE = 256;

/** @throws EntryError when the program is missing or cannot be run */
export function findProgram(name: string, path = DEFAULT_PATH): string {
  const isPath = name.includes('/');
  const candidates = isPath ? [name] : path.split(':').map((directory) => join(directory || '.', name));
  const file = candidates.find(isExecutable);
  if (file === undefined)
    throw missing(
      name,
      isPath ? 'the file does not exist or is not executable' : `it is in none of the directories ${path}`,
    );
  const problem = problemOf(file);
  if (problem) throw missing(name, problem);
  return file;
}

function missing(name: string, why: string): EntryError {
  return new EntryError(
    'program missing',
    `the program ${name} cannot be run: ${why}; correct the table or the image`,
  );
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function problemOf(file: string): string | undefined {
  const start = beginningOf(file);
  if (start === undefined || start.startsWith(ELF)) return undefined;
  const [, interpreter] = /^#![ \t]*([^\s]+)/.exec(start) ?? [];
  if (interpreter === undefined) return 'it is neither a program nor a script that begins with #!';
  return isExecutable(interpreter) ? undefined : `its first line names ${interpreter}, which does not exist`;
}

/** @returns undefined for a file that can be executed but not read */
function beginningOf(file: string): string | undefined {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const bytes = Buffer.alloc(FIRST_LINE);
      return bytes.toString('latin1', 0, readSync(descriptor, bytes));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
}
