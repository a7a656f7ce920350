/** Prepares everything before the program starts: it chooses the program, fetches its identity and writes its files. */

import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { describe, EntryError } from './entry-error.ts';
import { findProgram } from './find-program.ts';
import { fetchIdentity, type Identity, parseIdentity } from './identity.ts';
import { findRegion } from './region.ts';
import { type Program, parseTable, type Table, type Template } from './table.ts';
import { fillTemplate } from './template.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Prepared {
  /** The program's path. */
  readonly file: string;
  /** The program's arguments, which begin with its name. */
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface PrepareOptions {
  readonly environment: Environment;
  readonly table: string;
  /** Arguments after the command of the table: the image's CMD, or `command` of the task definition. */
  readonly moreWords: readonly string[];
  connect(region: string): SecretsManagerClient;
  readonly signal: AbortSignal;
}

const TYPE = 'application_type';
const MOST_LISTED = 20;

/**
 * Writes the templates' files, and returns the program to run.
 * @throws EntryError, or the signal's reason
 */
export async function prepare(options: PrepareOptions): Promise<Prepared> {
  const { environment, moreWords } = options;
  const table = readTable(options.table);
  const program = programOf(table, environment, options.table);
  const words = [...program.command, ...moreWords];
  // Check this before the secret is fetched, so that a missing program fails at once.
  const file = findProgram(words[0] ?? '', environment.PATH);
  const identity = program.needsIdentity ? await identityOf(table, options) : {};
  for (const template of program.templates) writeFilled(template, { ...environment, ...identity });
  const inherited = Object.entries(environment).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return {
    ...{ file, words },
    environment: { ...Object.fromEntries(inherited), ...(program.isInEnvironment && identity) },
  };
}

function readTable(path: string): Table {
  try {
    return parseTable(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof EntryError) throw error;
    throw new EntryError(
      'table',
      `the table ${path} cannot be read (${describe(error)}); put it into the image, or name it with --table`,
    );
  }
}

function programOf({ programs }: Table, environment: Environment, path: string): Program {
  const known = [...programs.keys()].slice(0, MOST_LISTED).join(', ');
  const type = environment[TYPE];
  if (!type)
    throw new EntryError(
      'type unset',
      `${TYPE} is not set; set it in the task definition to one of ${known}`,
    );
  const program = programs.get(type);
  if (!program)
    throw new EntryError(
      'type unknown',
      `${TYPE} is "${type}", which is not in ${path}; set it to one of ${known}`,
    );
  return program;
}

async function identityOf(table: Table, options: PrepareOptions): Promise<Identity> {
  const { environment, signal } = options;
  const name = environment.IDENTITY;
  if (!name)
    throw new EntryError(
      'identity unset',
      'IDENTITY is not set; set it in the task definition to the name or the ARN of the secret',
    );
  const region = await findRegion(name, environment, signal);
  const client = options.connect(region);
  try {
    return parseIdentity(await fetchIdentity(client, name, region, signal), name, table.mayBeEmpty);
  } finally {
    client.destroy();
  }
}

/** Only the program's user can read the file. The rename makes it appear complete or not at all. */
function writeFilled({ from, to }: Template, values: Environment): void {
  const draft = `${to}.draft`;
  try {
    const filled = fillTemplate(readFileSync(from, 'utf8'), values, from);
    writeFileSync(draft, filled, { mode: 0o600 });
    chmodSync(draft, 0o600);
    renameSync(draft, to);
  } catch (error) {
    rmSync(draft, { force: true });
    if (error instanceof EntryError) throw error;
    throw new EntryError(
      'template',
      `${to} cannot be written from ${from} (${describe(error)}); check that the template exists, and that the image's user may write the file`,
    );
  }
}
