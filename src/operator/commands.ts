/** The commands about a running service. */

import { STATES } from '../../container/state.ts';
import type { CommandRow, Given, OptionRow } from '../commands/row.ts';
import type { CreateWords } from './create.ts';
import type { ExecWords } from './exec.ts';
import type { LogWords } from './logs.ts';
import { NODE_COMMANDS, type NodeAsked } from './node-commands.ts';
import { POOL_COMMANDS, type PoolAsked } from './pool-commands.ts';
import type { PullWords } from './pull.ts';
import { ABOUT_SECRETS, SHAPE_OPTIONS, shapeWordsOf } from './shape-options.ts';

export interface Where {
  /** undefined: the service on this host. */
  readonly host: string | undefined;
  readonly fingerprint: string | undefined;
}

interface Common {
  readonly where: Where;
  readonly isJson: boolean;
}

type Asked =
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
  | NodeAsked
  | PoolAsked
  | { readonly name: 'console'; readonly port: string | undefined }
  | { readonly name: 'capacity' | 'drain' };

export type OperatorCommand = Common & Asked;

const WHERE: readonly OptionRow[] = [
  { flags: '--host <URL>', meaning: 'use the service on another host, at https://HOST:4678' },
  {
    flags: '--fingerprint <SHA256>',
    meaning: "the certificate's fingerprint, if this machine does not trust it",
  },
];
const JSON_TOO: OptionRow = { flags: '--json', meaning: "print the service's answer as JSON" };

/** Adds the options that all commands share. */
function asking({
  read,
  options = [],
  ...row
}: Omit<CommandRow<OperatorCommand>, 'read'> & {
  readonly read: (given: Given) => Asked | undefined;
}): CommandRow<OperatorCommand> {
  // A terminal's output is not an answer in JSON.
  const common = row.name.endsWith('exec') ? WHERE : [...WHERE, JSON_TOO];
  return {
    ...row,
    options: [...options, ...common],
    read: (given) => {
      const asked = read(given);
      const [host, fingerprint] = [given.text('host'), given.text('fingerprint')];
      if (!asked || (fingerprint !== undefined && host === undefined)) return undefined;
      return { ...asked, where: { host, fingerprint }, isJson: given.flag('json') };
    },
  };
}

export const OPERATOR_COMMANDS: readonly CommandRow<OperatorCommand>[] = [
  asking({
    name: 'ps',
    summary: 'list the containers',
    options: [
      { flags: '--state <STATE>', meaning: 'only containers in this state', values: STATES },
      { flags: '--app <APP>', meaning: 'only containers of this app' },
    ],
    example: 'ps --state ready',
    read: (given) => ({ name: 'ps', state: given.text('state'), app: given.text('app') }),
  }),
  asking({
    name: 'create',
    words: '<IMAGE>',
    summary: 'create a container and start it',
    more: ABOUT_SECRETS,
    options: [
      ...SHAPE_OPTIONS,
      { flags: '--dry-run', meaning: 'create nothing; report whether the host has room' },
    ],
    example: 'create fractal/demo:current-build --app demo --memory 2GiB --env LANG=C.UTF-8',
    read: createOf,
  }),
  asking({
    name: 'pull',
    words: '<IMAGE>',
    summary: 'pull an image from its registry',
    options: [
      { flags: '--platform <OS/ARCH>', meaning: 'pull the image for this platform, such as linux/arm64' },
      {
        flags: '--registry-user <NAME>',
        meaning: "log in as NAME; the password is in REGISTRY_PASSWORD, or in REGISTRY_PASSWORD_FILE's file",
      },
    ],
    example: 'pull --platform linux/arm64 registry.example.com/demo:1.2',
    read: (given) => {
      const [image] = given.words;
      const [platform, user] = [given.text('platform'), given.text('registry-user')];
      return image ? { name: 'pull', image, platform, user } : undefined;
    },
  }),
  asking({
    name: 'stop',
    words: '<ID...>',
    summary: 'stop containers gracefully, and print their receipts',
    example: 'stop 3f2a',
    read: ({ words: ids }) => ({ name: 'stop', ids }),
  }),
  asking({
    name: 'receipt',
    words: '<ID>',
    summary: 'print why a container ended, and how each of its resources was released',
    example: 'receipt 3f2a',
    read: ({ words: [id] }) => (id ? { name: 'receipt', id } : undefined),
  }),
  asking({
    name: 'logs',
    words: '<ID>',
    summary: "print a container's output, or its last lines once it has ended",
    options: [
      { flags: '-f, --follow', meaning: 'follow the output until the container has ended' },
      { flags: '--tail <N>', meaning: 'the last N lines only' },
    ],
    example: 'logs -f --tail 20 3f2a',
    read: (given) => {
      const [id] = given.words;
      if (!id) return undefined;
      return { name: 'logs', id, isFollowing: given.flag('follow'), tail: given.text('tail') };
    },
  }),
  asking({
    name: 'exec',
    words: '[ID] [COMMAND...]',
    summary: 'open a terminal with a shell or COMMAND in a container, or reattach to one',
    more: `Press Ctrl-] three times to leave the terminal; its program keeps running for a while. Put options before ID. What follows ID belongs to the command.`,
    options: [
      { flags: '-i, --interactive', meaning: 'has no effect; a terminal always takes input' },
      { flags: '-t, --tty', meaning: 'has no effect; there is always a terminal' },
      { flags: '-u, --user <USER>', meaning: 'run as this user of the container' },
      { flags: '--attach <TERMINAL>', meaning: 'reattach to a terminal; omit ID' },
      { flags: '--take', meaning: 'with --attach: take the input over from another client' },
      { flags: '--watch', meaning: 'with --attach: only watch the output' },
    ],
    passesOn: true,
    example: 'exec -it 3f2a top',
    read: execOf,
  }),
  asking({
    name: 'host-shell',
    summary: 'open a shell on the host itself, if HOST_SHELL_USER allows it',
    example: 'host-shell',
    read: () => ({ name: 'host-shell' }),
  }),
  asking({
    name: 'terminals',
    summary: 'list the open terminals, or end one',
    options: [{ flags: '--end <TERMINAL>', meaning: 'end this terminal and every program in it' }],
    example: 'terminals',
    read: (given) => ({ name: 'terminals', end: given.text('end') }),
  }),
  asking({
    name: 'events',
    summary: 'follow the events of containers',
    options: [{ flags: '--after <EVENT>', meaning: 'begin after the event with this id' }],
    example: 'events --json | jq .container.state',
    read: (given) => ({ name: 'events', after: given.text('after') }),
  }),
  asking({
    name: 'capacity',
    summary: 'print how many more containers fit, and which resource runs out first',
    example: 'capacity',
    read: () => ({ name: 'capacity' }),
  }),
  ...POOL_COMMANDS.map(asking),
  ...NODE_COMMANDS.map(asking),
  asking({
    name: 'drain',
    summary: 'accept no more containers, and exit when the last one has ended',
    example: 'drain',
    read: () => ({ name: 'drain' }),
  }),
  {
    name: 'console',
    summary: 'show the web console to a browser on this host, until Ctrl-C',
    more: 'The console needs no token here. Only the first browser that opens the printed address gets in. From another machine, open https://HOST:4678/console, or forward the port with "ssh -L PORT:127.0.0.1:PORT HOST".',
    options: [
      { flags: '--port <PORT>', meaning: 'listen on this port of 127.0.0.1; any free one by default' },
    ],
    example: 'console --port 8080',
    read: (given) => ({
      name: 'console',
      port: given.text('port'),
      where: { host: undefined, fingerprint: undefined },
      isJson: false,
    }),
  },
];

function createOf(given: Given): Asked | undefined {
  const words = shapeWordsOf(given, given.words[0]);
  return words && { name: 'create', ...words, isDryRun: given.flag('dry-run') };
}

function execOf(given: Given): Asked | undefined {
  const [id = '', ...command] = given.words;
  const [attach, user] = [given.text('attach'), given.text('user')];
  const [take, watch] = [given.flag('take'), given.flag('watch')];
  const isNew = attach === undefined && !take && !watch;
  if (isNew ? id === '' : id !== '' || attach === undefined || (take && watch) || user) return undefined;
  return { name: 'exec', attach, as: take ? 'take' : watch ? 'watch' : 'write', id, command, user };
}
