/**
 * The table in the image. It maps each `application_type` to a program, and says where the values of the secret go. The
 * format is YAML, so JSON works too.
 *
 *   programs:
 *     portal:
 *       command: [supervisord, -c, /etc/supervisord.conf]
 *       templates: [{ from: /app/portal.ini.tpl, to: /app/portal.ini }]
 *     indexer:
 *       command: [index-data, /app/portal.ini]
 */

import { parse } from 'yaml';
import { EntryError } from './entry-error.ts';

export interface Template {
  readonly from: string;
  readonly to: string;
}

export interface Program {
  readonly command: readonly string[];
  /** Files that are filled in with the secret's values. */
  readonly templates: readonly Template[];
  /** Whether the program's environment gets the secret's values. By default it does if there is no template. */
  readonly isInEnvironment: boolean;
  /** false: the program needs no identity. */
  readonly needsIdentity: boolean;
}

export interface Table {
  readonly programs: ReadonlyMap<string, Program>;
  /** Keys of the secret that may be empty. */
  readonly mayBeEmpty: ReadonlySet<string>;
}

/** @throws EntryError that says what is wrong, and where */
export function parseTable(text: string, path: string): Table {
  const wrong = (what: string): never => {
    throw new EntryError('table', `the table ${path} ${what}; correct it and build the image again`);
  };
  let whole: unknown;
  try {
    whole = parse(text);
  } catch (error) {
    wrong(`is neither YAML nor JSON: ${(error as Error).message.split('\n')[0]}`);
  }
  const { programs, mayBeEmpty = [], ...unknown } = recordOf(whole) ?? wrong('is not an object');
  refuseUnknown(unknown, 'the table', wrong);
  const rows = Object.entries(recordOf(programs) ?? wrong('has no "programs"'));
  if (rows.length === 0) wrong('has no program');
  return {
    programs: new Map(rows.map(([type, row]) => [type, programOf(type, row, wrong)])),
    mayBeEmpty: new Set(wordsOf(mayBeEmpty) ?? wrong('has a "mayBeEmpty" that is not a list of texts')),
  };
}

function programOf(type: string, row: unknown, wrong: (what: string) => never): Program {
  const {
    command,
    templates = [],
    environment,
    identity = true,
    ...unknown
  } = recordOf(row) ?? wrong(`has no valid entry for ${type}`);
  refuseUnknown(unknown, type, wrong);
  const words = wordsOf(command);
  if (!words?.[0]) return wrong(`has a command for ${type} that is not a list of words`);
  if (typeof identity !== 'boolean') wrong(`has an "identity" for ${type} that is neither true nor false`);
  if (environment !== undefined && typeof environment !== 'boolean')
    wrong(`has an "environment" for ${type} that is neither true nor false`);
  if (!Array.isArray(templates)) wrong(`has "templates" for ${type} that are not a list`);
  const files = (templates as unknown[]).map((one) => {
    const { from, to, ...more } = recordOf(one) ?? {};
    if (typeof from !== 'string' || typeof to !== 'string' || Object.keys(more).length > 0)
      return wrong(`has a template for ${type} that is not { from, to }`);
    return { from, to };
  });
  return {
    command: words,
    templates: files,
    isInEnvironment: environment === undefined ? files.length === 0 : environment === true,
    needsIdentity: identity === true,
  };
}

function refuseUnknown(unknown: object, where: string, wrong: (what: string) => never): void {
  const [name] = Object.keys(unknown);
  if (name !== undefined) wrong(`has an unknown key "${name}" in ${where}`);
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function wordsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
    ? (value as string[])
    : undefined;
}
