/** The words of `exec`: what stands behind the id is the program's, options too. */

import { parseArgs } from 'node:util';

export interface ExecWords {
  /** The terminal to come back to; undefined: a new one. */
  readonly attach: string | undefined;
  readonly as: 'write' | 'take' | 'watch';
  /** Of the container; empty for a terminal to come back to. */
  readonly id: string;
  readonly command: readonly string[];
  readonly user: string | undefined;
}

type ExecCommand = ExecWords & {
  readonly name: 'exec';
  readonly where: { readonly host: string | undefined; readonly fingerprint: string | undefined };
  readonly isJson: false;
};

const TEXT = { type: 'string' } as const;
const FLAG = { type: 'boolean' } as const;
const OPTIONS = {
  interactive: { ...FLAG, short: 'i' },
  tty: { ...FLAG, short: 't' },
  user: { ...TEXT, short: 'u' },
  attach: TEXT,
  take: FLAG,
  watch: FLAG,
  host: TEXT,
  fingerprint: TEXT,
} as const;

/** @returns undefined when the words make no sense */
export function parseExec(words: readonly string[]): ExecCommand | undefined {
  try {
    const { tokens } = parseArgs({
      args: [...words],
      options: OPTIONS,
      allowPositionals: true,
      strict: false,
      tokens: true,
    });
    const first = tokens.find(({ kind }) => kind === 'positional');
    const own = words.slice(0, first?.index ?? words.length);
    const { values } = parseArgs({ args: own, options: OPTIONS });
    const [id = '', ...command] = first ? words.slice(first.index) : [];
    const { attach, take, watch, user, host, fingerprint } = values;
    const isNew = attach === undefined && !take && !watch;
    if (isNew ? id === '' : id !== '' || attach === undefined || (take && watch) || user) return undefined;
    const as = take ? 'take' : watch ? 'watch' : 'write';
    if (fingerprint !== undefined && host === undefined) return undefined;
    return { name: 'exec', attach, as, id, command, user, where: { host, fingerprint }, isJson: false };
  } catch {
    return undefined;
  }
}
