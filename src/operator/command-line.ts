/** What the command line asks of a running service. */

import { parseArgs } from 'node:util';

export const OPERATOR_USAGE = `  ps [--state STATE] [--app APP]     list the containers
  stop ID …                          stop containers in order, and say what became of what they had
  receipt ID                         what a container was, why it ended, and what became of what it had
  events [--after EVENT]             follow what happens to containers
  capacity                           how many more containers have room, and what runs short first
  drain                              take no more containers, and end when the last one has
`;

export const OPERATOR_OPTIONS = `Those about a running service ask the one on this host, as root, or with --host https://HOST:4678 another one, which has
to know the token in OPERATOR_TOKEN or OPERATOR_TOKEN_FILE; --fingerprint SHA256 names its certificate where this machine
does not trust it. With --json they print what the service answered. An ID may be its first digits.

  ecs-host-service ps --state ready
  ecs-host-service stop 3f2a
  ecs-host-service events --json | jq .container.state
`;

export interface Where {
  /** undefined: this host. */
  readonly host: string | undefined;
  readonly fingerprint: string | undefined;
}

interface Common {
  readonly where: Where;
  readonly isJson: boolean;
}

export type OperatorCommand = Common &
  (
    | { readonly name: 'ps'; readonly state: string | undefined; readonly app: string | undefined }
    | { readonly name: 'stop'; readonly ids: readonly string[] }
    | { readonly name: 'receipt'; readonly id: string }
    | { readonly name: 'events'; readonly after: string | undefined }
    | { readonly name: 'capacity' | 'drain' }
  );

const NAMES = ['ps', 'stop', 'receipt', 'events', 'capacity', 'drain'] as const;
type Name = (typeof NAMES)[number];

/** Options beside those that all have. */
const OPTIONS: Readonly<Record<Name, readonly string[]>> = {
  ps: ['state', 'app'],
  stop: [],
  receipt: [],
  events: ['after'],
  capacity: [],
  drain: [],
};

export function isOperators(name: string): name is Name {
  return (NAMES as readonly string[]).includes(name);
}

/** @returns undefined when the words make no sense */
export function parseOperatorCommand(name: Name, words: readonly string[]): OperatorCommand | undefined {
  const read = readWords(name, words);
  if (!read) return undefined;
  const { positionals, values } = read;
  const { host, fingerprint, json } = values;
  if (fingerprint !== undefined && host === undefined) return undefined;
  const common = { where: { host, fingerprint }, isJson: json ?? false };
  if (name === 'stop') return positionals.length > 0 ? { name, ids: positionals, ...common } : undefined;
  const [id, ...others] = positionals;
  if (name === 'receipt') return id && others.length === 0 ? { name, id, ...common } : undefined;
  if (id !== undefined) return undefined;
  if (name === 'ps') return { name, state: values.state, app: values.app, ...common };
  if (name === 'events') return { name, after: values.after, ...common };
  return { name, ...common };
}

const TEXT = { type: 'string' } as const;

function readWords(name: Name, words: readonly string[]) {
  const options = {
    host: TEXT,
    fingerprint: TEXT,
    json: { type: 'boolean' },
    state: TEXT,
    app: TEXT,
    after: TEXT,
  } as const;
  try {
    const read = parseArgs({ args: [...words], options, allowPositionals: true });
    const known = ['host', 'fingerprint', 'json', ...OPTIONS[name]];
    return Object.keys(read.values).every((option) => known.includes(option)) ? read : undefined;
  } catch {
    return undefined;
  }
}
