/** What the command line asks of a running service. */

import { parseArgs } from 'node:util';
import type { CreateWords } from './create.ts';
import { type ExecWords, parseExec } from './exec-words.ts';
import type { LogWords } from './logs.ts';
import type { PullWords } from './pull.ts';

export const OPERATOR_USAGE = `  ps [--state STATE] [--app APP]     list the containers
  create IMAGE --app APP [option …]  have a container made and started; it gets the files that its user has of APP:
         --env NAME=VALUE, --env-from FILE, --label NAME=VALUE, --publish [HOST:]PORT[/udp],
         --mount /SOURCE:/TARGET[:rw] (each as often as needed), --cpus N, --memory 2GiB, --pids N, --gpu,
         --no-console, --timeout SECONDS (-1: for ever), --idle-timeout SECONDS (0: for ever), --dry-run,
         --pull missing|always|never (missing: when it is not on this host, and its name says which registry has it)
  pull IMAGE [--platform OS/ARCH] [--registry-user NAME]
         have an image fetched from its registry; the password of NAME stands in REGISTRY_PASSWORD, or in the file that
         REGISTRY_PASSWORD_FILE names
  stop ID …                          stop containers in order, and say what became of what they had
  receipt ID                         what a container was, why it ended, and what became of what it had
  logs [-f] [--tail N] ID            what a container wrote, or the last of it once it has ended; -f: until it ends
  exec [-it] [--user USER] ID [COMMAND [ARGUMENT …]]
                                     a terminal in a container, with a shell or COMMAND; Ctrl-] three times leaves it
  exec --attach TERMINAL [--take | --watch]
                                     come back to a terminal; --take: from whoever types there; --watch: only see it
  host-shell                         a shell on the host itself, where HOST_SHELL_USER allows it
  terminals [--end TERMINAL]         list the terminals that are open, or end one with all that runs in it
  events [--after EVENT]             follow what happens to containers
  capacity                           how many more containers have room, and what runs short first
  drain                              take no more containers, and end when the last one has
`;

export const OPERATOR_OPTIONS = `Those about a running service ask the one on this host, as root, or with --host https://HOST:4678 another one, which has
to know the token in OPERATOR_TOKEN or OPERATOR_TOKEN_FILE; --fingerprint SHA256 names its certificate where this machine
does not trust it. With --json they print what the service answered. An ID may be its first digits.
Every user of this machine can read a command line: what is secret belongs in FILE, which has NAME=VALUE on each line, or NAME
alone, which takes its value from the environment; # begins a comment. What --env gives counts more.

  ecs-host-service create fractal/demo:current-build --app demo --memory 2GiB --env LANG=C.UTF-8
  ecs-host-service ps --state ready
  ecs-host-service stop 3f2a
  ecs-host-service exec -it 3f2a
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
    | ({ readonly name: 'create' } & CreateWords)
    | ({ readonly name: 'pull' } & PullWords)
    | { readonly name: 'stop'; readonly ids: readonly string[] }
    | { readonly name: 'receipt'; readonly id: string }
    | ({ readonly name: 'exec' } & ExecWords)
    | { readonly name: 'host-shell' }
    | { readonly name: 'terminals'; readonly end: string | undefined }
    | { readonly name: 'events'; readonly after: string | undefined }
    | ({ readonly name: 'logs' } & LogWords)
    | { readonly name: 'capacity' | 'drain' }
  );

type Name = OperatorCommand['name'];

/** Options beside those that all have. */
const OPTIONS: Readonly<Record<Name, readonly string[]>> = {
  exec: [],
  'host-shell': [],
  terminals: ['end'],
  ps: ['state', 'app'],
  create: [
    'app',
    'env',
    'env-from',
    'label',
    'publish',
    'mount',
    'cpus',
    'memory',
    'pids',
    'timeout',
    'idle-timeout',
    'gpu',
    'no-console',
    'dry-run',
    'pull',
  ],
  pull: ['platform', 'registry-user'],
  stop: [],
  receipt: [],
  events: ['after'],
  logs: ['follow', 'tail'],
  capacity: [],
  drain: [],
};

export function isOperators(name: string): name is Name {
  return Object.hasOwn(OPTIONS, name);
}

/** @returns undefined when the words make no sense */
export function parseOperatorCommand(name: Name, words: readonly string[]): OperatorCommand | undefined {
  if (name === 'exec') return parseExec(words);
  const read = readWords(name, words);
  if (!read) return undefined;
  const { positionals, values } = read;
  const { host, fingerprint, json } = values;
  if (fingerprint !== undefined && host === undefined) return undefined;
  const common = { where: { host, fingerprint }, isJson: json ?? false };
  if (name === 'stop') return positionals.length > 0 ? { name, ids: positionals, ...common } : undefined;
  const [id, ...others] = positionals;
  if (name === 'receipt') return id && others.length === 0 ? { name, id, ...common } : undefined;
  if (name === 'pull') return id && others.length === 0 ? pullOf(id, values, common) : undefined;
  if (name === 'create') return id && others.length === 0 ? createOf(id, values, common) : undefined;
  if (name === 'logs') return id && others.length === 0 ? logsOf(id, values, common) : undefined;
  if (id !== undefined) return undefined;
  if (name === 'ps') return { name, state: values.state, app: values.app, ...common };
  if (name === 'terminals') return { name, end: values.end, ...common };
  if (name === 'events') return { name, after: values.after, ...common };
  return { name, ...common };
}

type Values = NonNullable<ReturnType<typeof readWords>>['values'];

function createOf(image: string, values: Values, common: Common): OperatorCommand | undefined {
  const {
    app,
    env = [],
    'env-from': envFile = [],
    label = [],
    publish = [],
    mount = [],
    cpus,
    memory,
    pids,
    timeout,
    pull,
  } = values;
  if (!app) return undefined;
  const [gpu, isDryRun] = [values.gpu ?? false, values['dry-run'] ?? false];
  const hasConsole = !values['no-console'];
  const more = { env, envFile, label, publish, mount, hasConsole, idleTimeout: values['idle-timeout'] };
  return { name: 'create', image, app, pull, ...more, cpus, memory, pids, timeout, gpu, isDryRun, ...common };
}

function pullOf(image: string, values: Values, common: Common): OperatorCommand {
  const { platform, 'registry-user': user } = values;
  return { name: 'pull', image, platform, user, ...common };
}

function logsOf(id: string, { follow = false, tail }: Values, common: Common): OperatorCommand {
  return { name: 'logs', id, isFollowing: follow, tail, ...common };
}

const TEXT = { type: 'string' } as const;
const TEXTS = { type: 'string', multiple: true } as const;
const FLAG = { type: 'boolean' } as const;
const ALL = {
  host: TEXT,
  fingerprint: TEXT,
  json: FLAG,
  state: TEXT,
  app: TEXT,
  after: TEXT,
  end: TEXT,
  env: TEXTS,
  'env-from': TEXTS,
  label: TEXTS,
  publish: TEXTS,
  mount: TEXTS,
  cpus: TEXT,
  memory: TEXT,
  pids: TEXT,
  timeout: TEXT,
  'idle-timeout': TEXT,
  gpu: FLAG,
  'no-console': FLAG,
  'dry-run': FLAG,
  pull: TEXT,
  platform: TEXT,
  'registry-user': TEXT,
  follow: { type: 'boolean', short: 'f' },
  tail: TEXT,
} as const;

/** A negative number after an option is its value. */
function joined(words: readonly string[]): string[] {
  return words.flatMap((word, i) => {
    if (word === '--timeout' && /^-\d/.test(words[i + 1] ?? '')) return [`${word}=${words[i + 1]}`];
    return i > 0 && words[i - 1] === '--timeout' && /^-\d/.test(word) ? [] : [word];
  });
}

function readWords(name: Name, words: readonly string[]) {
  try {
    const read = parseArgs({ args: joined(words), options: ALL, allowPositionals: true });
    const known = ['host', 'fingerprint', 'json', ...OPTIONS[name]];
    return Object.keys(read.values).every((option) => known.includes(option)) ? read : undefined;
  } catch {
    return undefined;
  }
}
