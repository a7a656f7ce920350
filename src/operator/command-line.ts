/** What the command line asks of a running service. */

import { parseArgs } from 'node:util';
import type { CreateWords } from './create.ts';
import { type ExecWords, parseExec } from './exec-words.ts';
import type { LogWords } from './logs.ts';
import type { PullWords } from './pull.ts';

export const OPERATOR_USAGE = `  ps [--state STATE] [--app APP]     list the containers
  create IMAGE --app APP [option …]  make and start a container; APP says which of its user's files it gets:
         --env NAME=VALUE, --env-from FILE, --label NAME=VALUE, --publish [HOST:]PORT[/udp],
         --mount /SOURCE:/TARGET[:rw] (these as often as needed), --cpus N, --memory 2GiB, --pids N, --gpu,
         --no-console, --timeout SECONDS (-1: no limit), --idle-timeout SECONDS (0: no limit), --dry-run,
         --pull missing|always|never (missing: if the image is not on this host)
  pull IMAGE [--platform OS/ARCH] [--registry-user NAME]
         pull an image from its registry; give NAME's password in REGISTRY_PASSWORD, or in the file that
         REGISTRY_PASSWORD_FILE names
  stop ID …                          stop containers gracefully, and print their receipts
  receipt ID                         print why a container ended, and how each of its resources was released
  logs [-f] [--tail N] ID            print a container's output, or the last of it once it has ended; -f: follow it
  exec [-it] [--user USER] ID [COMMAND [ARGUMENT …]]
                                     open a terminal in a container, with a shell or COMMAND; leave it with
                                     Ctrl-] three times
  exec --attach TERMINAL [--take | --watch]
                                     return to a terminal; --take: type there instead of whoever does;
                                     --watch: only look
  host-shell                         open a shell on the host itself, if HOST_SHELL_USER allows it
  terminals [--end TERMINAL]         list the open terminals, or end one and everything that runs in it
  events [--after EVENT]             follow what happens to containers
  capacity                           print how many more containers have room, and what runs out first
  drain                              accept no more containers, and exit when the last one has ended
`;

export const OPERATOR_OPTIONS = `Commands about a running service ask the one on this host, as root. With --host https://HOST:4678, they ask the service on
another host, and need its operator's token in OPERATOR_TOKEN, or in the file that OPERATOR_TOKEN_FILE names. Add --fingerprint SHA256
if this machine does not trust that service's certificate. With --json, they print the service's answer as it is. An ID
may be shortened to its first digits.
Every user of this machine can read a command line. So put secrets into FILE, for --env-from: each line is NAME=VALUE, or NAME
alone, which takes its value from the environment; # begins a comment. --env takes precedence over FILE.

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
