/** The commands about managed nodes. */

import type { CommandRow, Given } from '../commands/row.ts';
import type { ExecWords } from './exec.ts';
import type { LogWords } from './logs.ts';

export type NodeAsked =
  | {
      readonly name: 'nodes list' | 'nodes events' | 'nodes lock' | 'nodes unlock';
    }
  | { readonly name: 'nodes plan'; readonly file: string | undefined }
  | { readonly name: 'nodes explain' | 'nodes restart' | 'nodes receipts'; readonly node: string }
  | ({ readonly name: 'nodes logs' } & LogWords)
  | ({ readonly name: 'nodes exec' } & ExecWords);

type Row = Omit<CommandRow<NodeAsked>, 'read'> & { readonly read: (given: Given) => NodeAsked | undefined };

const about = (name: 'nodes explain' | 'nodes restart' | 'nodes receipts', summary: string): Row => ({
  name,
  words: '<NODE>',
  summary,
  example: `${name} web`,
  read: ({ words: [node] }) => (node ? { name, node } : undefined),
});

const bare = (name: 'nodes list' | 'nodes events' | 'nodes lock' | 'nodes unlock', summary: string): Row => ({
  name,
  summary,
  example: name,
  read: () => ({ name }),
});

export const NODE_COMMANDS: readonly Row[] = [
  bare('nodes list', 'list the managed nodes with their states and the causes'),
  about('nodes explain', 'print everything about a managed node, and its next steps'),
  {
    name: 'nodes plan',
    summary: 'print the steps to the state that the feed wants, without executing them',
    options: [
      {
        flags: '--dry-run <FILE>',
        meaning: 'print the steps to the state in this file of nodes, without using the file',
      },
    ],
    example: 'nodes plan --dry-run nodes.new.yaml',
    read: (given) => ({ name: 'nodes plan', file: given.text('dry-run') }),
  },
  bare('nodes events', 'print what happened to managed nodes'),
  about('nodes receipts', 'print when and why containers of a managed node were replaced or removed'),
  about('nodes restart', 'restart a managed node, or retry a rejected container'),
  bare('nodes lock', 'defer updates of managed nodes'),
  bare('nodes unlock', 'allow updates of managed nodes again'),
  {
    name: 'nodes logs',
    words: '<NODE>',
    summary: "print the output of a managed node's container",
    options: [
      { flags: '-f, --follow', meaning: 'follow the output until the container has ended' },
      { flags: '--tail <N>', meaning: 'the last N lines only' },
    ],
    example: 'nodes logs -f --tail 20 web',
    read: (given) => {
      const [id] = given.words;
      if (!id) return undefined;
      const [isFollowing, tail] = [given.flag('follow'), given.text('tail')];
      return { name: 'nodes logs', id, isFollowing, tail };
    },
  },
  {
    name: 'nodes exec',
    words: '<NODE> [COMMAND...]',
    summary: 'open a terminal in a managed node, with a shell or COMMAND',
    more: `Press Ctrl-] three times to leave the terminal; its program keeps running for a while. Put options before NODE. What follows NODE belongs to the command.`,
    options: [
      { flags: '-i, --interactive', meaning: 'has no effect; a terminal always takes input' },
      { flags: '-t, --tty', meaning: 'has no effect; there is always a terminal' },
      { flags: '-u, --user <USER>', meaning: 'run as this user of the container' },
    ],
    passesOn: true,
    example: 'nodes exec -it web sh',
    read: (given) => {
      const [id, ...command] = given.words;
      if (!id) return undefined;
      return { name: 'nodes exec', attach: undefined, as: 'write', id, command, user: given.text('user') };
    },
  },
];
