/** Runs a long command, shows its output, and adds its result to a committed table. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';

export interface Ran {
  readonly code: number;
  readonly log: string;
  /** The start time in UTC, to the minute. */
  readonly date: string;
  readonly minutes: number;
}

/** A table of runs in Markdown. */
export interface Table {
  readonly path: string;
  /** The text before the first row. */
  readonly head: string;
}

export function git(...words: string[]): string {
  return execFileSync('git', words, { encoding: 'utf8' }).trim();
}

export async function run(command: readonly [string, ...string[]], cwd = '.'): Promise<Ran> {
  const [program, ...words] = command;
  const began = Date.now();
  const child = spawn(program, words, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const pieces: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.pipe(process.stdout, { end: false });
  }
  const [code] = await once(child, 'close');
  return {
    code: code ?? 1,
    log: Buffer.concat(pieces).toString(),
    date: new Date(began).toISOString().slice(0, 16).replace('T', ' '),
    minutes: Math.round((Date.now() - began) / 60_000),
  };
}

/** Adds a row to the table, and commits only the table. */
export function addRow({ path, head }: Table, cells: readonly (string | number)[], message: string): void {
  if (!existsSync(path)) writeFileSync(path, head);
  appendFileSync(path, `| ${cells.join(' | ')} |\n`);
  git('add', path);
  git('commit', '--quiet', '--message', message, '--', path);
}
